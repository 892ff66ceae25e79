// In the shape of the predecessor's build-free template: answers by `return` at the top of the script, one list
// for each session in the address.
const { method, path, query, body } = request;
const session = query.session;

if (!session) return respond(400, { error: 'session required' });
const ds = fazt.app.ds;

if (path === '/api/items') {
  if (method === 'GET') return respond({ items: ds.find('items', { session }) });
  if (method === 'POST') {
    const id = ds.insert('items', { ...body, session });
    return respond(201, ds.findOne('items', { id, session }));
  }
}

const match = path.match(/^\/api\/items\/([^/]+)$/);
if (match) {
  const found = ds.findOne('items', { id: match[1], session });
  if (!found) return respond(404, { error: 'not found' });
  if (method === 'GET') return respond(found);
  if (method === 'PUT') {
    ds.update('items', { id: match[1], session }, { $set: body, $inc: { changes: 1 } });
    return respond(ds.findOne('items', { id: match[1], session }));
  }
  if (method === 'DELETE') {
    ds.delete('items', { id: match[1], session });
    return respond(200, { deleted: true });
  }
}

respond(404, { error: 'not found' });
