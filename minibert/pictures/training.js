"use strict";
// Values of the curves at a step, and the page loaded again. Texts become text nodes, never HTML.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
document.documentElement.classList.add("has-script");

// Curves: a pointer or the arrow keys choose a step, and every curve tells its values there.

const number = (value) =>
  Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
const told = (value) => {
  const isFar = value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7);
  return (isFar ? String(Number(value.toPrecision(4))) : number(value)).replace("-", "−");
};

// Return the place of the number in a rising list that is nearest to `x`.
function nearest(xs, x) {
  let [low, high] = [0, xs.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low > 0 && x - xs[low - 1] <= xs[low] - x ? low - 1 : low;
}

function reading(lines, step) {
  const parts = lines
    .filter((line) => line.x.length)
    .map((line) => {
      const place = nearest(line.x, step);
      const value = line.y[place] === null ? "no number" : told(line.y[place]);
      // A value of another step is one of a curve with fewer points.
      return `${line.name}: ${value}${line.x[place] === step ? "" : ` (step ${line.x[place]})`}`;
    });
  return `step ${step.toLocaleString("en")}; ${parts.join("; ")}`;
}

for (const frame of document.querySelectorAll(".frame")) {
  const { panel, ends, lines } = data.charts[Number(frame.dataset.chart)];
  const svg = frame.querySelector("svg");
  const output = frame.parentElement.querySelector("output");
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const steps = [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  const [left, top, width, height] = panel;
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", top);
  cursor.setAttribute("y2", top + height);
  cursor.style.display = "none";
  svg.append(cursor);
  let here = -1; // the place of the chosen step; -1: none

  const go = (place) => {
    here = place;
    cursor.style.display = here < 0 ? "none" : "";
    output.textContent = here < 0 ? "" : reading(lines, steps[here]);
    if (here >= 0) {
      const x = left + ((steps[here] - ends[0]) / (ends[1] - ends[0])) * width;
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
    }
  };
  if (steps.length) {
    frame.tabIndex = 0;
    frame.setAttribute("role", "application");
    const name = svg.getAttribute("aria-label");
    frame.setAttribute("aria-label", `${name}; the arrow keys move from step to step`);
    for (const kind of ["pointermove", "pointerdown"]) {
      frame.addEventListener(kind, (event) => {
        const box = svg.getBoundingClientRect();
        const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
        go(nearest(steps, ends[0] + ((x - left) / width) * (ends[1] - ends[0])));
      });
    }
    frame.addEventListener("pointerleave", () => go(-1));
    frame.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      const last = steps.length - 1;
      const places = {
        ArrowRight: Math.min(here + 1, last),
        ArrowLeft: here < 0 ? last : Math.max(here - 1, 0),
        Home: 0,
        End: last,
        Escape: -1,
      };
      if (event.key in places) {
        event.preventDefault();
        go(places[event.key]);
      }
    });
  }
}

// Loading again: off at first; the address remembers that it is on.

const AGAIN = "#every-10-seconds";
let timer = 0;

function plan() {
  clearTimeout(timer);
  if (byId("again").checked) timer = setTimeout(() => location.reload(), 10000);
}

if (!data.finished) {
  byId("reload").hidden = false;
  byId("again").checked = location.hash === AGAIN;
  byId("again").addEventListener("change", () => {
    location.replace(byId("again").checked ? AGAIN : "#");
    plan();
  });
  plan();
}
