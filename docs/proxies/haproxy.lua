-- Asks Castellan about a request: for haproxy.cfg, as /etc/haproxy/castellan.lua. What it does not know to be allowed is refused.

-- About one connection, or about a body that is not sent along; the target is told in headers of its own.
local left_out = {
  ["host"] = true, ["connection"] = true, ["content-length"] = true, ["expect"] = true, ["keep-alive"] = true,
  ["proxy-connection"] = true, ["te"] = true, ["trailer"] = true, ["transfer-encoding"] = true, ["upgrade"] = true,
}
local identity = { "castellan-assertion", "castellan-principal", "castellan-roles", "castellan-email" }
local told = { "content-type", "cache-control", "www-authenticate", "retry-after", "ratelimit", "ratelimit-policy", "set-cookie", "x-request-id" }

-- A list of every value of each header.
local function values_of(headers)
  local lists = {}
  for name, values in pairs(headers) do
    local list = {}
    for at = 0, #values do
      if values[at] ~= nil then list[#list + 1] = values[at] end
    end
    lists[name:lower()] = list
  end
  return lists
end

local function refuse(txn, status, headers, body)
  local reply = txn:reply({ status = status })
  for _, name in ipairs(told) do
    for _, value in ipairs(headers[name] or {}) do reply:add_header(name, value) end
  end
  reply:set_body(body)
  txn:done(reply)
end

core.register_action("castellan", { "http-req" }, function(txn, address)
  local headers = values_of(txn.http:req_get_headers())
  local host = headers["host"] or {}
  for name in pairs(left_out) do headers[name] = nil end
  headers["x-original-method"] = { txn.f:method() }
  headers["x-original-host"] = host
  headers["x-original-uri"] = { txn.f:url() }
  headers["x-original-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }

  local answer = core.httpclient():get({ url = address .. "/forward-auth/haproxy", headers = headers, timeout = 10000 })
  local status = answer and answer.status or 0
  local answered = values_of(answer and answer.headers or {})
  if status ~= 200 then
    return refuse(txn, status >= 400 and status <= 599 and status or 503, answered, answer and answer.body or "")
  end

  for _, name in ipairs(identity) do
    local value = (answered[name] or {})[1]
    txn.http:req_del_header(name)
    if value ~= nil and value ~= "" then txn.http:req_set_header(name, value) end
  end
  txn:set_var("txn.castellan_allowed", true)
end, 1)
