// Lets one try each call from the page, with a key that is pasted into it and kept nowhere else.
"use strict";

const keyForm = document.getElementById("key");
const key = document.getElementById("api-key");
keyForm.hidden = false;
keyForm.addEventListener("submit", (event) => event.preventDefault());

for (const form of document.querySelectorAll("form.try")) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

async function send(form) {
  const answer = form.querySelector("pre");
  answer.hidden = false;
  if (!key.value.trim()) {
    answer.textContent = "Paste an API key at the top of the page first.";
    key.focus();
    return;
  }
  answer.textContent = "…";
  try {
    answer.textContent = await call(form);
  } catch (error) {
    answer.textContent = `The server cannot be reached: ${error.message}`;
  }
}

async function call(form) {
  const { method } = form.dataset;
  const headers = { Authorization: `Bearer ${key.value.trim()}` };
  const query = new URLSearchParams();
  let path = form.dataset.path;
  for (const field of form.querySelectorAll("input")) {
    const value = field.value;
    if (field.dataset.in === "path") path = path.replace(`{${field.name}}`, encodeURIComponent(value));
    else if (value && field.dataset.in === "query") query.append(field.name, value);
    else if (value && field.dataset.in === "header") headers[field.name] = value;
  }
  const body = form.querySelector("textarea")?.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const search = query.toString();
  // No cookies go along: it is the key that is tried, not whoever is signed in.
  const response = await fetch(search ? `${path}?${search}` : path, { method, headers, body, credentials: "omit" });
  return describe(response, await response.text());
}

function describe(response, text) {
  const lines = [`${response.status} ${response.statusText}`];
  for (const name of ["ratelimit", "ratelimit-policy", "retry-after", "idempotency-replayed", "www-authenticate"]) {
    if (response.headers.has(name)) lines.push(`${name}: ${response.headers.get(name)}`);
  }
  lines.push("", pretty(text));
  return lines.join("\n");
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
