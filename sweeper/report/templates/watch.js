// Asks the server every two seconds whether the page was written again, and offers to show it. A reader who is in the
// middle of a table is not interrupted.
const frame = document.querySelector("iframe");
const notice = document.getElementById("notice");
const text = notice.querySelector("span");
const button = notice.querySelector("button");
let shown = null;
let latest = null;

async function look() {
  try {
    const response = await fetch("/page", { method: "HEAD", cache: "no-store" });
    latest = response.headers.get("ETag");
    shown ??= latest;
    text.textContent = "There are new results.";
    button.hidden = false;
    notice.hidden = latest === shown;
  } catch {
    text.textContent = "The command has ended; this page is the last one.";
    button.hidden = true;
    notice.hidden = false;
  }
}

button.addEventListener("click", () => {
  shown = latest;
  notice.hidden = true;
  frame.contentWindow.location.reload();
});
look();
setInterval(look, 2000);
