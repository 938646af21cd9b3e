// The page: asks what is served, and puts the parts together for the data set that is chosen.

import { Row, make, verdict } from "./answers.js";
import { ask, blob, newest, setToken, to } from "./api.js";
import { Board } from "./board.js";
import { card } from "./cards.js";
import * as faces from "./faces.js";
import * as generators from "./generators.js";
import * as prompts from "./prompts.js";

const REFRESH_MS = 10_000;
const state = document.querySelector("#state");
const said = document.querySelector("#verdict");
const board = new Board(picture => show(picture));
let rows = [];
let known = "", drawnFor = "", shown = null;

const reads = model => model.inputs[0].name === "image";

async function load() {
  let models;
  try {
    ({ models } = await ask("/models"));
  } catch (error) {
    state.textContent = error.status === 401 || error.status === 403 ? "" : error.message;
    document.querySelector("#access").hidden = !(error.status === 401 || error.status === 403);
    return;
  }
  document.querySelector("#access").hidden = true;
  state.textContent = models.length
    ? `${models.length} model${models.length === 1 ? "" : "s"} in production. Show them a picture, and they answer while you draw.`
    : "No champion is served yet: train and promote one with darkroom run.";
  document.querySelector("main").hidden = !models.length;
  const now = JSON.stringify(models);
  if (now === known) return;
  known = now;
  document.querySelector("#cards").replaceChildren(...models.map(card));
  // Another version of the same models leaves what is drawn and chosen as it is.
  const kinds = JSON.stringify(models.map(({ name, dataset, task, inputs, classes }) => [name, dataset, task, inputs, classes]));
  if (kinds !== drawnFor) datasets(models);
  drawnFor = kinds;
}

function datasets(models) {
  const names = [...new Set(models.map(model => model.dataset))];
  const field = document.querySelector("#datasets");
  const before = field.querySelector(":checked")?.value;
  field.querySelectorAll("label").forEach(one => one.remove());
  names.forEach(name => {
    const choice = make("input", { type: "radio", name: "dataset", value: name });
    choice.checked = name === (names.includes(before) ? before : names[0]);
    choice.addEventListener("change", () => choose(name, models));
    field.append(make("label", {}, choice, name.replaceAll("_", " ")));
  });
  field.hidden = names.length < 2;
  if (names.length) choose(names.includes(before) ? before : names[0], models);
}

function choose(name, models) {
  const here = models.filter(model => model.dataset === name);
  const readers = here.filter(reads);
  document.querySelector("#ask").hidden = !readers.length;
  rows = readers.map(model => {
    const row = new Row(model);
    row.ask = newest(picture => answer(row, picture));
    row.prompt?.addEventListener("input", () => { if (shown) row.ask(shown); });
    return row;
  });
  document.querySelector("#answers").replaceChildren(...rows.map(row => row.item));
  if (readers.length) {
    const { image } = readers[0];
    board.shape(image, image.width === image.height && readers.some(model => model.page === "fitted board"));
    examples(readers[0]);
  }
  faces.shows(here.filter(model => model.page === "faces"));
  prompts.shows(here.filter(model => model.page === "prompts"));
  generators.shows(here.filter(model => model.page === "seeds"));
}

async function examples(model) {
  const list = document.querySelector("#examples");
  list.replaceChildren();
  const found = await Promise.all([...Array(model.examples).keys()].map(place => ask(to(model, `/examples/${place}`))));
  list.replaceChildren(...found.map(({ image, prompt }, place) => {
    const button = make("button", { type: "button", "aria-label": `Example ${place + 1}` }, make("img", { src: image, alt: "" }));
    button.addEventListener("click", () => {
      if (prompt) rows.forEach(row => { if (row.prompt) row.prompt.value = prompt; });
      board.open(blob(image));
    });
    return make("li", {}, button);
  }));
  list.querySelector("button")?.click();
}

function show(picture) {
  shown = picture;
  if (!picture) {
    rows.forEach(row => row.empty());
    said.textContent = "";
    return;
  }
  rows.forEach(row => row.ask(picture));
}

async function answer(row, picture) {
  try {
    const answered = await ask(to(row.model, `/predict${row.query}`), picture);
    row.label = answered.scores?.[0].label;
    await row.show(answered, picture);
  } catch (error) {
    row.label = undefined;
    row.fail(error.message);
  }
  said.textContent = verdict(rows.map(one => one.label).filter(label => label !== undefined));
}

document.querySelector("#access").addEventListener("submit", event => {
  event.preventDefault();
  setToken(document.querySelector("#token").value);
  load();
});

await load();
setInterval(() => { if (!document.hidden) load(); }, REFRESH_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) load(); });
