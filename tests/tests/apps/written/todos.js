// In the shape of the predecessor's apps: one script for every path, `handler(request)` as the last statement,
// answers made by `respond`, everything synchronous.
var COLLECTION = 'todos';

function segments(path) {
  return path.split('/').filter(function (part) { return part.length > 0; });
}

function list(request) {
  var query = {};
  if (request.query.done !== undefined) query.done = request.query.done === 'true';
  return respond(fazt.storage.ds.find(COLLECTION, query, { order: 'asc' }));
}

function create(request) {
  if (!request.body || !request.body.title) {
    return respond(400, { error: 'title is required' });
  }
  var id = fazt.storage.ds.insert(COLLECTION, { title: request.body.title, done: false });
  return respond(201, fazt.storage.ds.findOne(COLLECTION, { id: id }), { Location: '/api/todos/' + id });
}

function read(id) {
  var todo = fazt.storage.ds.findOne(COLLECTION, id);
  return todo ? respond(todo) : respond(404, { error: 'not found' });
}

function update(id, request) {
  var changes = {};
  if ('title' in request.body) changes.title = request.body.title;
  if ('done' in request.body) changes.done = request.body.done;
  var count = fazt.storage.ds.update(COLLECTION, { id: id }, { $set: changes });
  if (count === 0) return respond(404, { error: 'not found' });
  return read(id);
}

function remove(id) {
  if (fazt.storage.ds.delete(COLLECTION, { id: id }) === 0) return respond(404, { error: 'not found' });
  return respond(204);
}

function handler(request) {
  var parts = segments(request.path);
  if (parts[1] !== 'todos') return respond(404, { error: 'no such endpoint' });
  var id = parts[2];
  if (!id) {
    if (request.method === 'GET') return list(request);
    if (request.method === 'POST') return create(request);
  } else {
    if (request.method === 'GET') return read(id);
    if (request.method === 'PUT') return update(id, request);
    if (request.method === 'DELETE') return remove(id);
  }
  return respond(405, { error: 'method not allowed' });
}

handler(request);
