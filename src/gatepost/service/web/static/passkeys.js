// Passkeys: asks the browser for one and sends its answer with the form. Loaded by the pages that ask for one.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => {
  const letters = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(letters).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
};
const described = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));

async function made(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: described(options.excludeCredentials),
  };
  const { id, rawId, type, response } = await navigator.credentials.create({ publicKey });
  return {
    id, rawId: text(rawId), type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      attestationObject: text(response.attestationObject),
      transports: response.getTransports ? response.getTransports() : [],
    },
  };
}

async function proven(options) {
  const publicKey = {
    ...options, challenge: bytes(options.challenge), allowCredentials: described(options.allowCredentials),
  };
  const { id, rawId, type, response } = await navigator.credentials.get({ publicKey });
  return {
    id, rawId: text(rawId), type,
    response: {
      clientDataJSON: text(response.clientDataJSON),
      authenticatorData: text(response.authenticatorData),
      signature: text(response.signature),
      userHandle: response.userHandle ? text(response.userHandle) : undefined,
    },
  };
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const button = form.querySelector("button[data-ask]");
  const failed = form.querySelector("[data-failed]");
  const ask = async () => {
    button.disabled = true;
    failed.hidden = true;
    try {
      const work = form.dataset.passkey === "create" ? made : proven;
      form.elements.credential.value = JSON.stringify(await work(JSON.parse(form.dataset.options)));
      form.submit();
    } catch {
      button.disabled = false;
      failed.hidden = false;
    }
  };
  button.hidden = false;
  button.addEventListener("click", ask);
  if (window.PublicKeyCredential) ask();
  else { button.disabled = true; failed.hidden = false; }
}

// The code of an invitation stands behind the # of its address, which no server and no log is told.
const code = document.querySelector("input[data-code]");
if (code && location.hash.length > 1) {
  code.value = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}
