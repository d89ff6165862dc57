/** How the page at /docs looks: light or dark as the reader prefers, one column on a phone. */

export const pageStyle = `
:root { color-scheme: light dark; --ground: #fff; --raised: #f6f7f9; --ink: #1b2430; --quiet: #566270; --line: #dde2e8;
  --link: #0b57b7; --mark: #fff4c2; --get: #0a6640; --post: #0b57b7; --put: #8a4b00; --patch: #6b3fa0; --delete: #a81e1e; }
@media (prefers-color-scheme: dark) { :root { --ground: #12161c; --raised: #1a2029; --ink: #e6eaf0; --quiet: #9aa7b6;
  --line: #2d3642; --link: #7fb4ff; --mark: #4a3f10; --get: #5fd39b; --post: #7fb4ff; --put: #f0b060; --patch: #c3a0ff; --delete: #ff8f8f; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0 auto; max-width: 76rem; padding: 0 1.25rem 4rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; }
a { color: var(--link); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
code { font: .875em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; padding: .5rem 1rem; background: var(--ground); }
header { display: grid; grid-template-columns: auto 1fr; align-items: center; gap: 0 .75rem; padding: 2rem 0 1.25rem;
  border-bottom: 1px solid var(--line); }
header h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; }
header p { grid-column: 1 / -1; margin: .5rem 0 0; color: var(--quiet); }
nav ul { list-style: none; margin: 1rem 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
nav li { text-transform: capitalize; }
nav a, table a, .errors a { text-decoration: none; }
nav a:hover, table a:hover, .errors a:hover { text-decoration: underline; }
.count { color: var(--quiet); font-size: .8rem; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.3rem; text-transform: capitalize; }
h4 { margin: 1rem 0 .25rem; font-size: .925rem; }
b { font-size: .925rem; }
details { border: 1px solid var(--line); border-radius: 8px; margin: .5rem 0; background: var(--ground); }
details[open] { background: var(--raised); }
summary { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .75rem; padding: .6rem .9rem; cursor: pointer; list-style: none; }
summary::-webkit-details-marker { display: none; }
summary::before { content: '›'; width: .6rem; color: var(--quiet); }
details[open] > summary::before { transform: rotate(90deg); }
summary:hover { background: var(--raised); border-radius: 8px; }
summary h3 { margin: 0; font-size: 1rem; font-weight: 600; }
.what { margin-left: auto; color: var(--quiet); }
.method { min-width: 4.25rem; font: 700 .8rem/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; letter-spacing: .03em; }
.get { color: var(--get); } .post { color: var(--post); } .put { color: var(--put); } .patch { color: var(--patch); } .delete { color: var(--delete); }
.operation { padding: 0 .9rem 1rem; scroll-margin-top: 4rem; }
.self { text-decoration: none; }
table { width: 100%; margin: .5rem 0 1rem; border-collapse: collapse; font-size: .925rem; background: var(--ground); }
caption { text-align: left; font-weight: 600; padding: .5rem 0; }
details table { border: 1px solid var(--line); }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem; border-top: 1px solid var(--line); overflow-wrap: break-word; }
td code { overflow-wrap: anywhere; }
thead th { color: var(--quiet); font-size: .8rem; font-weight: 600; }
tbody th { font-weight: 600; width: 34%; }
td:nth-child(2) { width: 24%; }
.path { color: var(--quiet); font-weight: 400; }
.required { color: var(--delete); font-size: .75rem; font-weight: 400; }
.errors { margin: .25rem 0; padding: 0; list-style: none; }
:target { background: var(--mark); }
.operation:target { background: none; }
@media (min-width: 60rem) {
  body { display: grid; grid-template-columns: 13rem minmax(0, 1fr); column-gap: 2.5rem; align-items: start; }
  header { grid-column: 1 / -1; }
  nav { position: sticky; top: 0; max-height: 100vh; overflow: auto; padding: 1.25rem 0; }
  nav ul { display: block; margin: 0; }
  nav li { padding: .15rem 0; }
}
@media (max-width: 40rem) {
  .what { margin-left: 0; width: 100%; }
  thead { position: absolute; left: -100rem; }
  tbody tr { display: block; padding: .5rem 0; border-top: 1px solid var(--line); }
  tbody th, tbody td, td:nth-child(2) { display: block; width: auto; border: 0; padding: .1rem .75rem; }
  td:empty { display: none; }
}
`;

export const pageIcon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#0b57b7" d="M4 4h5v4h4V4h6v4h4V4h5v9l-3 3v12h-6v-6a3 3 0 0 0-6 0v6H7V16l-3-3z"/></svg>`;
