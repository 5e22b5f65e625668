// What the pages do beyond links and forms. Everything works without this file.

// Times are shown in the browser's time zone from the next page on.
try {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const secure = location.protocol === "https:" ? "; Secure" : "";
  if (zone) document.cookie = `gatepost-zone=${zone}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
} catch { /* no zone, then UTC */ }

// A part that refreshes itself asks only while somebody looks, and says what it has, so that an unchanged answer is 304.
let tags = {};
const polling = (event) => event.detail.elt.hasAttribute("data-poll");

document.addEventListener("htmx:beforeRequest", (event) => {
  if (polling(event) && document.hidden) event.preventDefault();
});
document.addEventListener("htmx:configRequest", (event) => {
  if (!polling(event)) return;
  event.detail.headers["Gatepost-Poll"] = "1";
  const tag = tags[event.detail.path];
  if (tag) event.detail.headers["If-None-Match"] = tag;
});
document.addEventListener("htmx:afterRequest", (event) => {
  const tag = event.detail.xhr && event.detail.xhr.getResponseHeader("ETag");
  tags = tag && polling(event) ? { [event.detail.requestConfig.path]: tag } : {};
});
// Of what is refreshed beside that part, an element that says the same stays, with the selection in it.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (fragment.firstElementChild && target.isEqualNode(fragment.firstElementChild)) event.detail.shouldSwap = false;
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) document.body.dispatchEvent(new CustomEvent("gatepost:seen"));
});

// A button that copies what stands elsewhere on the page; it shows only where the browser can.
for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  button.hidden = false;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}
