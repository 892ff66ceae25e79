// In the shape of the predecessor's Vite template: a file for each endpoint, a function `handler`, and a body
// that is JSON already.
function handler(req) {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ message: 'Hello, ' + (req.query.name || 'world'), method: req.method }),
  };
}
