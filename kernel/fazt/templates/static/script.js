const now = document.querySelector("#now");
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function show() {
  const date = new Date();
  now.dateTime = date.toISOString();
  now.textContent = time.format(date);
}

show();
setInterval(show, 10_000);
