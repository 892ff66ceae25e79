import "./base.css";

const alert = document.querySelector("[role=alert]");
const visits = document.querySelector("#visits");

async function ask(method) {
  try {
    const response = await fetch("/api/visits", { method });
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    visits.textContent = `${(await response.json()).visits} so far`;
    alert.textContent = "";
  } catch (error) {
    alert.textContent = `The server does not answer: ${error.message}`;
  }
}

document.querySelector("#visit").addEventListener("click", () => ask("POST"));
ask("GET");
