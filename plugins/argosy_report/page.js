"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const bytes = Uint8Array.from(atob(byId("data").textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const data = JSON.parse(await new Response(stream).text());
  const { items, requests } = data;
  const count = items.id.length;

  // the columns hold differences, which are short: to the row before, or to another column
  const add = (column, base) => column.forEach((value, n) => { column[n] = value + (base ? base[n] : column[n - 1] || 0); });
  add(items.start);
  add(items.end, items.start);
  add(requests.item);
  add(requests.sent);
  add(requests.headers, requests.sent);
  add(requests.end, requests.headers);
  items.title = items.title.map((title, n) => title || items.id[n]);
  // a lease that lasts to the end holds the token while the body arrives
  const released = data.lease === "exclusive-to-end" ? requests.end : requests.headers;
  byId("charts").hidden = !data.requests.sent.length;

  // -- words

  const sizeText = (size) => {
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (size < 1000) return `${unit === "B" || size >= 100 ? size.toFixed(0) : size.toFixed(1)} ${unit}`;
      size /= 1000;
    }
    return `${size.toFixed(1)} TB`;
  };
  const timeText = (ms) => {
    const seconds = ms / 1000;
    if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(1)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  };
  let colors = {};
  const readColors = () => {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["fg", "dim", "line", "held", "body", "idle", "bad", "mark"]) {
      colors[name] = style.getPropertyValue(`--${name}`).trim();
    }
  };
  const color = (name) => colors[name];

  // -- canvases, sharp on every screen

  const PAPER = 680; // CSS pixels of the width of a sheet
  let isPrinting = false;
  const prepare = (canvas, height) => {
    const ratio = isPrinting ? 3 : window.devicePixelRatio || 1;
    const width = isPrinting ? PAPER : canvas.clientWidth;
    canvas.style.height = isPrinting ? "auto" : `${height}px`; // paper scales the canvas as a whole
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "12px system-ui, sans-serif";
    return [context, width, height];
  };
  const left = 64; // for labels
  const view = { from: 0, to: Math.max(data.end, 1) };
  const xOf = (ms, width) => left + ((ms - view.from) / (view.to - view.from)) * (width - left - 8);

  const axisText = (ms, step) => (ms < 60_000 ? `${(ms / 1000).toFixed(step < 10 ? 3 : step < 100 ? 2 : step < 1000 ? 1 : 0)} s` : timeText(ms).replace(/ 0 (s|min)$/, ""));
  const drawAxis = (context, width, height) => {
    const span = view.to - view.from;
    const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 144e5, 864e5];
    const step = steps.find((one) => span / one <= (width - left) / 90) || 864e5;
    context.strokeStyle = color("line");
    context.fillStyle = color("dim");
    for (let at = Math.ceil(view.from / step) * step; at <= view.to; at += step) {
      const x = Math.round(xOf(at, width)) + 0.5;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, height - 16);
      context.stroke();
      const text = axisText(at, step);
      if (x + 3 + context.measureText(text).width < width) context.fillText(text, x + 3, height - 4);
    }
  };

  // -- throughput, active items and marks

  const active = () => {
    const changes = [];
    for (let n = 0; n < count; n += 1) changes.push([items.start[n], 1], [items.end[n], -1]);
    changes.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
    let level = 0;
    // a worker may begin an item before its last one is recorded
    return changes.map(([at, change]) => [at, Math.min((level += change), data.lanes)]);
  };
  const levels = active();
  /** The levels, or their average in each pixel if there are more changes than pixels. */
  const seenLevels = (width) => {
    const seen = levels.filter(([at]) => at >= view.from && at <= view.to).length;
    if (seen <= width) return levels;
    const step = (view.to - view.from) / (width - left);
    const sums = new Float64Array(Math.ceil(width - left));
    let [last, level] = [0, 0];
    for (const [at, next] of levels) {
      const end = Math.min(at, view.to);
      for (let from = Math.max(last, view.from); from < end;) {
        const place = Math.min(Math.floor((from - view.from) / step), sums.length - 1);
        const to = place === sums.length - 1 ? end : Math.min(end, Math.max(view.from + (place + 1) * step, from + step / 1e6));
        sums[place] += level * (to - from);
        from = to;
      }
      [last, level] = [at, next];
    }
    return Array.from(sums, (sum, place) => [view.from + place * step, sum / step]);
  };
  const markNames = {
    login: "login", refresh: "refresh", retry: "retry", throttled: "slow down (429)", outage: "outage", notice: "notice",
  };
  const markColors = { login: "mark", refresh: "mark", retry: "bad", throttled: "bad", outage: "bad", notice: "dim" };

  const drawThroughput = () => {
    const [context, width, height] = prepare(byId("throughput"), 140);
    const bottom = height - 18;
    drawAxis(context, width, height);
    const rates = data.received.map((size) => (size / data.step) * 1000);
    const most = rates.reduce((high, rate) => Math.max(high, rate), 1);
    context.fillStyle = color("body");
    rates.forEach((rate, n) => {
      const x = xOf(n * data.step, width);
      const end = xOf((n + 1) * data.step, width);
      if (end < left || x > width) return;
      const tall = (rate / most) * (bottom - 22);
      context.fillRect(Math.max(x, left), bottom - tall, Math.max(end - Math.max(x, left), 1), tall);
    });
    const busiest = levels.reduce((high, [, level]) => Math.max(high, level), 1);
    context.strokeStyle = color("fg");
    context.beginPath();
    let y = bottom;
    context.moveTo(left, y);
    for (const [at, level] of seenLevels(width)) {
      const x = Math.min(Math.max(xOf(at, width), left), width);
      context.lineTo(x, y);
      y = bottom - (level / busiest) * (bottom - 22);
      context.lineTo(x, y);
    }
    context.stroke();
    context.fillStyle = color("dim");
    context.fillText(`${sizeText(most)}/s`, 4, 20);
    context.fillText(`${busiest} active`, 4, 36);
    for (const [at, kind] of data.marks) {
      const x = xOf(at, width);
      if (x < left) continue;
      context.fillStyle = color(markColors[kind] || "dim");
      context.fillRect(x - 1, 0, 2, 10);
      if (kind === "login" && x < width - 40) context.fillText("login", x + 4, 10);
    }
  };
  const fillMarks = () => {
    const counts = {};
    for (const [, kind] of data.marks) counts[kind] = (counts[kind] || 0) + 1;
    const texts = Object.entries(counts).map(([kind, number]) => `${markNames[kind]}: ${number}`);
    byId("marks").hidden = !texts.length;
    byId("marks").querySelector("summary").textContent = `What happened on the way (${texts.join(", ")})`;
    byId("marks").querySelector("ul").replaceChildren(...data.marks.slice(0, 500).map(([at, kind, text]) => {
      const entry = document.createElement("li");
      entry.textContent = `${timeText(at)}, ${markNames[kind]}: ${text}`;
      return entry;
    }));
  };

  // -- the lanes; above them, everything that held the token, in one row

  const hasToken = (data.lease || "").startsWith("exclusive") && requests.sent.length > 0;
  const byTime = requests.sent.map((_, n) => n).sort((a, b) => requests.sent[a] - requests.sent[b]);
  const laneHeight = Math.max(Math.min(26, Math.floor(420 / Math.max(data.lanes, 1))), 6);
  const top = hasToken ? 30 : 0;
  const drawTimeline = () => {
    const [context, width, height] = prepare(byId("timeline"), top + data.lanes * laneHeight + 26);
    drawAxis(context, width, height);
    const isSeen = (from, to) => to >= view.from && from <= view.to;
    let seen = 0;
    for (let n = 0; n < requests.sent.length; n += 1) seen += isSeen(requests.sent[n], requests.end[n]) ? 1 : 0;
    // a pixel for each is more than it took if there are many: then shades tell the share of each pixel
    const isDense = seen > width;
    const shares = new Map();
    const share = (key, x, end) => {
      if (!shares.has(key)) shares.set(key, new Float64Array(Math.ceil(width) + 1));
      const sums = shares.get(key);
      for (let at = Math.floor(x); at < end; at += 1) sums[at] += Math.min(end, at + 1) - Math.max(x, at);
    };
    const bar = (y, tall, from, to, name) => {
      if (!isSeen(from, to)) return;
      const x = Math.max(xOf(from, width), left);
      const end = Math.min(xOf(to, width), width);
      if (isDense && name !== "bad") {
        share(`${y} ${tall} ${name}`, x, end);
        return;
      }
      context.fillStyle = color(name);
      context.fillRect(x, y, Math.max(end - x, 1), tall);
    };
    const drawShares = () => {
      for (const [key, sums] of shares) {
        const [y, tall, name] = key.split(" ");
        context.fillStyle = color(name);
        sums.forEach((part, at) => {
          context.globalAlpha = Math.min(part, 1);
          if (part > 0) context.fillRect(at, Number(y), 1, Number(tall));
        });
      }
      context.globalAlpha = 1;
      shares.clear();
    };
    const yOf = (lane) => top + lane * laneHeight + 3;
    const tall = laneHeight - 4;
    const inset = laneHeight > 14 ? 3 : 1;
    for (let n = 0; n < count; n += 1) {
      if (items.state[n] !== "failed") bar(yOf(items.lane[n]), tall, items.start[n], items.end[n], "idle");
    }
    drawShares();
    for (let n = 0; n < count; n += 1) {
      if (items.state[n] === "failed") bar(yOf(items.lane[n]), tall, items.start[n], items.end[n], "bad");
    }
    requests.item.forEach((item, n) => {
      bar(yOf(items.lane[item]) + inset, tall - 2 * inset, released[n], requests.end[n], "body");
    });
    requests.item.forEach((item, n) => {
      bar(yOf(items.lane[item]) + inset, tall - 2 * inset, requests.sent[n], released[n], "held");
      if (hasToken) bar(5, 16, requests.sent[n], released[n], "held");
    });
    drawShares();
    if (hasToken && seen * 5 < width) { // the way from hand to hand
      context.strokeStyle = color("held");
      context.globalAlpha = 0.6;
      context.beginPath();
      byTime.forEach((n, place) => {
        const next = byTime[place + 1];
        if (next === undefined || !isSeen(released[n], requests.sent[next])) return;
        const [from, to] = [items.lane[requests.item[n]], items.lane[requests.item[next]]];
        if (from === to || xOf(released[n], width) < left) return;
        context.moveTo(xOf(released[n], width), yOf(from) + tall / 2);
        context.lineTo(xOf(requests.sent[next], width), yOf(to) + tall / 2);
      });
      context.stroke();
      context.globalAlpha = 1;
    }
    context.fillStyle = color("dim");
    if (hasToken) context.fillText("token", 4, 17);
    if (laneHeight >= 12) {
      for (let lane = 0; lane < data.lanes; lane += 1) {
        context.fillText(`worker ${lane + 1}`, 4, yOf(lane) + laneHeight / 2 + 2);
      }
    } else {
      context.fillText(`${data.lanes} workers`, 2, top + 14);
    }
  };

  const sum = (values) => values.reduce((total, value) => total + value, 0);
  /** Whether no request had the token before the last one was done with it; times are whole milliseconds. */
  const inTurn = () => byTime.every((n, place) => place === 0 || requests.sent[n] >= released[byTime[place - 1]] - 1);
  const explain = () => {
    if (!requests.sent.length) return ["No request brought a file."];
    const held = sum(released.map((end, n) => end - requests.sent[n]));
    const body = sum(requests.end.map((end, n) => end - released[n]));
    const told = [];
    if (data.lease === "shared") {
      told.push("A token shows the service who you are. This service does not replace it, so requests may overlap.");
    } else if (hasToken) {
      const until = data.lease === "exclusive-to-end"
        ? "until its file is in (blue comes only after that)"
        : "only until the headers of its response bring the next token";
      told.push("A token shows the service who you are. This service replaces it with every response, and refuses old ones, "
        + `so only one request at a time may use it. A request holds the token (orange) ${until}. `
        + (data.lease === "exclusive-to-end" ? "" : "The file itself (blue) needs no token."));
    }
    const took = requests.end.reduce((last, end) => Math.max(last, end), 0) - requests.sent[byTime[0]];
    const apart = `Tokens were held for ${timeText(held)} in all, and files took ${timeText(body)} to arrive`;
    const share = (held + body) / Math.max(took, 1);
    if (data.lanes === 1) {
      told.push(`${apart}. One worker did it all, one request after another`
        + (hasToken && held * 2 < took ? ": most of the time the token was free, but there was no other worker to use it." : "."));
    } else if (share > 1.05) {
      told.push(`${apart}. One after another, that is ${timeText(held + body)}; with ${data.lanes} workers it took ${timeText(took)}, `
        + "as the files of some workers arrived while others used the token.");
    } else {
      told.push(`${apart}.`);
    }
    if (hasToken && data.sessions === 1 && data.lanes > 1 && inTurn()) {
      told.push("It was safe: no two requests held the token at the same moment (row “token”).");
    }
    if (data.left_out) told.push(`The first ${count} items are shown; ${data.left_out} more are not.`);
    return told;
  };

  const draw = () => {
    readColors();
    drawThroughput();
    drawTimeline();
  };
  const clamp = () => {
    const span = Math.min(Math.max(view.to - view.from, 5), Math.max(data.end, 5));
    view.from = Math.min(Math.max(view.from, 0), Math.max(data.end, 5) - span);
    view.to = view.from + span;
  };
  const zoom = (factor, center) => {
    const span = (view.to - view.from) * factor;
    const share = (center - view.from) / (view.to - view.from);
    view.from = center - share * span;
    view.to = view.from + span;
    clamp();
    draw();
  };
  const move = (share) => {
    const by = (view.to - view.from) * share;
    view.from += by;
    view.to += by;
    clamp();
    draw();
  };

  const showAll = () => { view.from = 0; view.to = Math.max(data.end, 1); draw(); };
  byId("nearer").addEventListener("click", () => zoom(0.5, (view.from + view.to) / 2));
  byId("farther").addEventListener("click", () => zoom(2, (view.from + view.to) / 2));
  byId("earlier").addEventListener("click", () => move(-0.5));
  byId("later").addEventListener("click", () => move(0.5));
  byId("whole").addEventListener("click", showAll);

  const canvas = byId("timeline");
  const timeAt = (event) => {
    const x = event.offsetX - left;
    return view.from + (x / (canvas.clientWidth - left - 8)) * (view.to - view.from);
  };
  canvas.addEventListener("wheel", (event) => {
    const isWhole = view.to - view.from >= Math.max(data.end, 5);
    if (event.ctrlKey || event.deltaY === 0 || (isWhole && event.deltaY > 0)) return; // the page scrolls or zooms
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, timeAt(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const actions = {
      "+": () => zoom(0.5, (view.from + view.to) / 2),
      "=": () => zoom(0.5, (view.from + view.to) / 2),
      "-": () => zoom(2, (view.from + view.to) / 2),
      0: showAll,
      Home: () => move(-data.end),
      End: () => move(data.end),
      ArrowLeft: () => move(-0.2),
      ArrowRight: () => move(0.2),
    };
    // with these, they are the browser's: zoom, back
    if (actions[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      actions[event.key]();
    }
  });
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    drag = timeAt(event);
    canvas.setPointerCapture(event.pointerId);
  });
  // a finger that scrolls the page cancels, and a window that opens takes the pointer away
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    canvas.addEventListener(name, () => { drag = null; });
  }
  canvas.addEventListener("pointermove", (event) => {
    const at = timeAt(event);
    if (drag !== null) {
      view.from += drag - at;
      view.to += drag - at;
      clamp();
      draw();
      return;
    }
    const lane = Math.floor((event.offsetY - top) / laneHeight);
    const tip = [];
    for (let n = 0; n < count; n += 1) {
      if (items.lane[n] === lane && items.start[n] <= at && at <= items.end[n]) {
        tip.push(`${items.title[n]}: ${sizeText(items.bytes[n])} in ${timeText(items.end[n] - items.start[n])}`);
        if (items.message[n]) tip.push(items.message[n]);
        break;
      }
    }
    byId("tip").textContent = tip.join("; ");
  });

  // -- the table

  const columns = [
    ["title", "Item", (n) => items.title[n], false],
    ["state", "State", (n) => items.state[n], false],
    ["bytes", "Size", (n) => items.bytes[n], true],
    ["seconds", "Time", (n) => items.end[n] - items.start[n], true],
    ["start", "Started", (n) => items.start[n], true],
  ];
  let sorted = { by: 3, down: true };
  let shown = 100;
  const matches = () => {
    const word = byId("search").value.toLowerCase();
    const found = [];
    for (let n = 0; n < count; n += 1) {
      const text = `${items.id[n]} ${items.title[n]} ${items.state[n]} ${items.message[n]}`;
      if (!word || text.toLowerCase().includes(word)) found.push(n);
    }
    const value = columns[sorted.by][2];
    const sign = sorted.down ? -1 : 1;
    return found.sort((a, b) => (value(a) < value(b) ? -sign : value(a) > value(b) ? sign : a - b));
  };
  const fill = () => {
    const found = matches();
    byId("found").textContent = `${found.length} of ${count}${found.length > shown ? `, ${shown} shown` : ""}`;
    const rows = found.slice(0, shown).map((n) => {
      const row = document.createElement("tr");
      if (items.state[n] === "failed") row.className = "failed";
      const texts = [
        items.message[n] ? `${items.title[n]}: ${items.message[n]}` : items.title[n],
        items.state[n],
        sizeText(items.bytes[n]),
        timeText(items.end[n] - items.start[n]),
        timeText(items.start[n]),
      ];
      texts.forEach((text, place) => {
        const cell = document.createElement("td");
        cell.textContent = text;
        if (columns[place][3]) cell.className = "number";
        row.append(cell);
      });
      return row;
    });
    document.querySelector("#items tbody").replaceChildren(...rows);
    byId("more").hidden = found.length <= shown;
  };
  columns.forEach(([, name, , number], place) => {
    const head = document.createElement("th");
    const button = document.createElement("button");
    button.textContent = name;
    button.addEventListener("click", () => {
      sorted = { by: place, down: sorted.by === place ? !sorted.down : number };
      document.querySelectorAll("#items th").forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
      fill();
    });
    if (number) head.className = "number";
    head.append(button);
    document.querySelector("#items thead tr").append(head);
  });
  byId("search").addEventListener("input", () => { shown = 100; fill(); });
  byId("more").addEventListener("click", () => { shown += 500; fill(); });

  if (hasToken) byId("who").textContent = "Who had the token, and what arrived";
  byId("explain").replaceChildren(...explain().map((text) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = text;
    return paragraph;
  }));
  fillMarks();
  fill();
  draw();
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  // paper has its own width, and is light
  let unfolded = [];
  const print = (now) => {
    isPrinting = now;
    document.documentElement.toggleAttribute("data-paper", now);
    if (now) unfolded = [...document.querySelectorAll("details:not([open]):not([hidden])")]; // paper cannot unfold
    unfolded.forEach((one) => { one.open = now; });
    draw();
  };
  window.addEventListener("beforeprint", () => print(true));
  window.addEventListener("afterprint", () => print(false));
  document.documentElement.dataset.ready = "yes";
})();
