const section = document.querySelector("section");
const answer = document.querySelector("#answer");

for (const button of document.querySelectorAll("[data-get]")) {
  button.addEventListener("click", async () => {
    section.hidden = false;
    try {
      const response = await fetch(button.dataset.get);
      const body = JSON.stringify(await response.json(), null, 2);
      answer.textContent = `${response.status} ${response.statusText}\n\n${body}`;
    } catch (error) {
      answer.textContent = `No answer: ${error.message}`;
    }
  });
}
