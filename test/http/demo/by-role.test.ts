/** The demo's people: what each may do to documents and orders, as a table. */
import assert from 'node:assert/strict';
import { anonymousClient, type Client, logIn, startGateway, type TestGateway } from '../../harness.ts';

const people = ['superadmin', 'admin', 'editor', 'author', 'approver', 'auditor', 'user'] as const;
type Person = (typeof people)[number];
type Who = Person | 'anonymous';

const documents = '/api/v1/documents';
const orders = '/api/v1/orders';

describe('the demo, by role', () => {
  let gateway: TestGateway;
  const clients = new Map<Who, Client>();
  const as = (who: Who): Client => clients.get(who) ?? assert.fail(who);

  before(async () => {
    gateway = await startGateway();
    for (const person of people) clients.set(person, await logIn(gateway, person));
    clients.set('anonymous', anonymousClient(gateway));
  });
  after(() => gateway.close());

  /** A row of its own for each question, so that no order between them matters. */
  async function addDocument(row: Record<string, unknown>): Promise<string> {
    const [{ id }] = await gateway.services
      .db('documents')
      .insert({ title: 'T', body: 'B', notes: 'secret', ...row })
      .returning('id');
    return id;
  }

  const idOf: Record<Person, string> = Object.fromEntries(
    ['superadmin', 'admin', 'editor', 'author', 'approver', 'auditor', 'user'].map((person, index) => [
      person,
      `00000000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`,
    ]),
  ) as Record<Person, string>;

  /** What is done, to a document of the author's department, and who may. */
  const table: {
    what: string;
    row: Record<string, unknown>;
    send(client: Client, id: string): Promise<{ status: number }>;
    may: Person[];
  }[] = [
    {
      what: 'read a draft',
      row: { status: 'draft' },
      send: (client, id) => client.get(`${documents}/${id}`),
      may: ['superadmin', 'admin', 'editor', 'author', 'auditor'],
    },
    {
      what: 'read what is published',
      row: { status: 'published' },
      send: (client, id) => client.get(`${documents}/${id}`),
      may: [...people],
    },
    {
      what: 'change a draft',
      row: { status: 'draft' },
      send: (client, id) => client.patch(`${documents}/${id}`, { title: 'New' }),
      may: ['superadmin', 'admin', 'editor', 'author'],
    },
    {
      what: 'change what is published',
      row: { status: 'published' },
      send: (client, id) => client.patch(`${documents}/${id}`, { title: 'New' }),
      may: ['superadmin', 'admin'],
    },
    {
      what: 'delete a draft',
      row: { status: 'draft' },
      send: (client, id) => client.delete(`${documents}/${id}`),
      may: ['superadmin', 'admin', 'author'],
    },
    {
      what: 'delete what is published',
      row: { status: 'published' },
      send: (client, id) => client.delete(`${documents}/${id}`),
      may: [],
    },
    {
      what: 'publish what is in review',
      row: { status: 'review' },
      send: (client, id) => client.post(`${documents}/${id}/publish`),
      may: ['superadmin', 'admin', 'editor'],
    },
    {
      what: 'publish a draft',
      row: { status: 'draft' },
      send: (client, id) => client.post(`${documents}/${id}/publish`),
      may: ['superadmin', 'admin'],
    },
  ];

  for (const { what, row, send, may } of table) {
    for (const person of people) {
      it(`${may.includes(person) ? 'lets' : 'does not let'} the ${person} ${what}`, async () => {
        const id = await addDocument({ owner_id: idOf.author, department: 'editorial', ...row });
        const { status } = await send(as(person), id);
        assert.equal(status < 300, may.includes(person), `answered ${status}`);
        if (status >= 300) assert.equal(status, 403);
      });
    }
    it(`answers 401 to whoever would ${what} without being identified, whether it is there or not`, async () => {
      const id = await addDocument({ owner_id: idOf.author, department: 'editorial', ...row });
      assert.equal((await send(as('anonymous'), id)).status, 401);
      assert.equal((await send(as('anonymous'), '00000000-0000-4000-8000-0000000000ff')).status, 401);
    });
  }

  it('shows the notes only to those whose rules grant them', async () => {
    const id = await addDocument({ owner_id: idOf.author, department: 'editorial', status: 'published' });
    const seen = await Promise.all(
      people.map(
        async (person) => [person, 'notes' in (await as(person).get(`${documents}/${id}`)).body] as const,
      ),
    );
    assert.deepEqual(
      seen.filter(([, shown]) => shown).map(([person]) => person),
      ['superadmin', 'admin', 'editor', 'author', 'auditor'],
    );
  });

  it('lists exactly what a single read allows, row by row and field by field, for every role', async () => {
    for (const status of ['draft', 'review', 'published', 'archived']) {
      for (const owner of ['author', 'user', 'approver'] as const)
        await addDocument({
          owner_id: idOf[owner],
          department: owner === 'author' ? 'editorial' : 'sales',
          status,
        });
    }
    const ids: string[] = await gateway.services.db('documents').pluck('id');
    for (const person of people) {
      const listed = new Map<string, unknown>();
      for (let cursor = ''; ; ) {
        const { body } = await as(person).get(
          `${documents}?limit=7${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
        );
        for (const item of body.items) listed.set(item.id, item);
        if (body.nextCursor === null) break;
        cursor = body.nextCursor;
      }
      for (const id of ids) {
        const { status, body } = await as(person).get(`${documents}/${id}`);
        assert.deepEqual(listed.get(id), status === 200 ? body : undefined, `${person} ${id}`);
      }
    }
  });

  it('refuses the fields that may not be written, each by its name', async () => {
    const id = await addDocument({ owner_id: idOf.user, department: 'editorial', status: 'draft' });
    const { status, body } = await as('editor').patch(`${documents}/${id}`, {
      title: 'New',
      notes: 'mine',
      department: 'sales',
    });
    assert.equal(status, 403);
    assert.equal(body.code, 'fields_denied');
    assert.deepEqual(body.errors.map(({ pointer }: { pointer: string }) => pointer).sort(), [
      '/department',
      '/notes',
    ]);
    assert.equal((await as('editor').get(`${documents}/${id}`)).body.title, 'T');
  });

  it('mass assignment: owner, id and publication cannot be sent along', async () => {
    for (const extra of [
      { ownerId: idOf.admin },
      { id: idOf.admin },
      { status: 'published' },
      { createdAt: '2020-01-01' },
    ]) {
      const { status, body } = await as('author').post(documents, { title: 'T', ...extra });
      assert.equal(status, 400);
      assert.deepEqual(
        body.errors.map(({ pointer }: { pointer: string }) => pointer),
        [`/${Object.keys(extra)[0]}`],
      );
    }
  });

  it('an author writes for their own department only', async () => {
    assert.equal((await as('author').post(documents, { title: 'Ours' })).status, 201);
    assert.equal((await as('author').post(documents, { title: 'Theirs', department: 'sales' })).status, 403);
  });

  it('nobody moves a document out of what they may change', async () => {
    const id = await addDocument({ owner_id: idOf.author, department: 'editorial', status: 'draft' });
    const { status, body } = await as('author').patch(`${documents}/${id}`, { status: 'archived' });
    assert.deepEqual([status, body.code], [403, 'access_denied']);
  });

  it('says the reason that the author of a deny rule gave', async () => {
    const id = await addDocument({ owner_id: idOf.author, department: 'editorial', status: 'published' });
    assert.equal(
      (await as('admin').delete(`${documents}/${id}`)).body.detail,
      'Published documents are archived, not deleted',
    );
  });

  describe('orders', () => {
    async function addOrder(row: Record<string, unknown>): Promise<string> {
      const [{ id }] = await gateway.services
        .db('orders')
        .insert({ amount: 100, currency: 'EUR', region: 'EU', created_by: idOf.user, ...row })
        .returning('id');
      return id;
    }

    const approvals: [string, Record<string, unknown>, number][] = [
      ['within the limit and the regions', { amount: 1000 }, 200],
      ['a cent above the limit', { amount: 1000.01 }, 403],
      ['of another region', { region: 'US' }, 403],
      ['of their own', { created_by: idOf.approver }, 403],
      ['that is approved already', { status: 'approved' }, 403],
    ];
    for (const [what, row, expected] of approvals) {
      it(`an approver approving an order ${what} gets ${expected}`, async () => {
        const { status } = await as('approver').post(`${orders}/${await addOrder(row)}/approve`);
        assert.equal(status, expected);
      });
    }

    it('approves an order once', async () => {
      const id = await addOrder({});
      const answers = await Promise.all([1, 2, 3].map(() => as('admin').post(`${orders}/${id}/approve`)));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409]);
    });

    it('lists exactly what a single read allows, for every role', async () => {
      for (const region of ['EU', 'US', 'UK'])
        for (const by of ['user', 'author', 'approver'] as const)
          await addOrder({ region, created_by: idOf[by] });
      const ids: string[] = await gateway.services.db('orders').pluck('id');
      for (const person of people) {
        const { body } = await as(person).get(`${orders}?limit=200`);
        const listed = new Set(body.items.map(({ id }: { id: string }) => id));
        for (const id of ids)
          assert.equal(
            listed.has(id),
            (await as(person).get(`${orders}/${id}`)).status === 200,
            `${person} ${id}`,
          );
      }
    });

    it('an order is placed in the name of whoever sends it', async () => {
      const { status, body } = await as('user').post(orders, { amount: 5, currency: 'EUR', region: 'EU' });
      assert.deepEqual([status, body.createdBy, body.status], [201, idOf.user, 'open']);
    });
  });
});
