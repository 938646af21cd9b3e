// A card for every champion: what it is, how good, of what data, since when.

import { make } from "./answers.js";

const number = value => Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3);
const words = name => name.replaceAll("_", " ");
const capital = text => text.charAt(0).toUpperCase() + text.slice(1);

export function card(model) {
  const element = document.querySelector("#card").content.firstElementChild.cloneNode(true);
  const part = selector => element.querySelector(selector);
  element.id = `card-${model.name}`;
  part("h3").textContent = model.name;
  part(".badge").textContent = `version ${model.version}`;
  part(".what").textContent = `${words(model.task)} by ${model.family} on ${model.dataset}`;
  const measured = model.metrics[model.primary];
  part(".metric").hidden = part(".strip").hidden = !measured;
  if (measured) metric(part, model.primary, measured);
  part(".facts").append(...listed(facts(model)));
  part(".more").append(...listed(more(model)));
  part("pre code").textContent = command(model);
  return element;
}

function metric(part, name, { value, low, high, better }) {
  part(".big").textContent = number(value);
  part(".interval").textContent = `[${number(low)}, ${number(high)}]`;
  part(".primary").textContent = `${words(name)}, 95 % interval; ${better} is better`;
  // Shares are drawn on 0 to 1, all else on twice the interval's far end.
  const [least, most] = low >= 0 && high <= 1 ? [0, 1] : [Math.min(0, 1.5 * low), Math.max(0, 1.5 * high)];
  const at = point => 100 * (point - least) / (most - least || 1);
  part(".band").style.left = `${at(low)}%`;
  part(".band").style.width = `${at(high) - at(low)}%`;
  part(".dot").style.left = `${at(value)}%`;
}

const listed = facts => facts.flatMap(([term, value]) => [make("dt", {}, term), make("dd", {}, value)]);

function facts(model) {
  return [
    ["Promoted", model.promoted_at ? `${model.promoted_at.slice(0, 16).replace("T", " ")} UTC` : "not recorded"],
    ["Data", hash(model.data_sha256)],
    ["Bundle", hash(model.bundle_sha256)],
  ];
}

function more(model) {
  const shape = tensors => tensors.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.map(size => size < 0 ? "N" : size).join(", ")}]`).join("; ");
  const rest = Object.entries(model.metrics).filter(([name]) => name !== model.primary);
  const numbers = rest.map(([name, { value, low, high }]) => [capital(words(name)), `${number(value)} [${number(low)}, ${number(high)}]`]);
  return [["Takes", shape(model.inputs)], ["Answers", shape(model.outputs)], ...numbers];
}

function hash(sha256) {
  const element = make("code", { class: "hash", title: sha256 ?? "" });
  element.textContent = sha256 ? sha256.slice(0, 12) : "not known";
  return element;
}

function command(model) {
  const url = `${location.origin}/models/${encodeURIComponent(model.name)}`;
  return `curl ${model.curl.replace("{url}", url)}`;
}
