// In the shape of 0.4: `main.js` at the root answers every path that is no file.
var count = Number(db.get('count') || 0);
if (req.method === 'POST' && req.path === '/up') {
  count = count + 1;
  db.set('count', count);
}
res.header('X-Count', String(count));
if (req.path === '/json') {
  res.json({ count: count, query: req.query });
} else {
  res.send('<h1>' + count + '</h1>');
}
