"use strict";

const $ = (id) => document.getElementById(id);
let limits = { bytes: Infinity };
let addresses = [];

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(text, { bad = false } = {}) {
  $("state").textContent = text;
  $("state").className = bad ? "bad" : "";
}

function sizeText(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toPrecision(3)} MB`;
}

async function readHealth() {
  const health = await (await fetch("/health")).json();
  limits = health.limits;
  document.title = $("title").textContent = health.serves;
  $("limits").textContent =
    `up to ${sizeText(limits.bytes)}, ${limits.seconds} s, ${(limits.pixels / 1e6).toFixed(1)} megapixels a frame`;
  $("token-row").hidden = !health.token;
}

function show(video, content, note) {
  const address = URL.createObjectURL(content);
  addresses.push(address);
  video.onloadeddata = () => { note.textContent = ""; };
  video.onerror = () => {
    video.hidden = true;
    note.textContent = "This browser cannot play the file.";
  };
  video.hidden = false;
  video.src = address;
  return address;
}

function clearAnswer() {
  $("output").removeAttribute("src");
  $("output").hidden = $("download").hidden = true;
  $("answer").replaceChildren();
  $("answer-note").textContent = "";
}

function choose(file) {
  addresses.forEach(URL.revokeObjectURL);
  addresses = [];
  clearAnswer();
  $("chosen").textContent = `${file.name} (${sizeText(file.size)})`;
  $("answer-note").textContent = "Not sent yet";
  show($("input"), file, $("input-note"));
  const tooLarge = file.size > limits.bytes;
  $("send").disabled = tooLarge;
  say(tooLarge ? `larger than ${sizeText(limits.bytes)}` : "", { bad: tooLarge });
}

function bars(probabilities) {
  return Object.entries(probabilities).map(([name, value], place) =>
    element(
      "div",
      { className: place ? "bar" : "bar first" },
      element("span", { textContent: name }),
      element("meter", { min: 0, max: 1, value, title: name }),
      element("span", { textContent: `${(100 * value).toFixed(1)} %` }),
    ),
  );
}

function shotButtons(shots) {
  const button = (shot, place) => {
    const made = element("button", { type: "button" });
    made.textContent = `${place + 1}: ${shot.start_seconds.toFixed(2)} s`;
    made.onclick = () => { $("input").currentTime = shot.start_seconds; };
    return made;
  };
  return element("div", { className: "shots" }, ...shots.map(button));
}

function showJson(text) {
  const answer = JSON.parse(text);
  if (answer.probabilities) $("answer").append(...bars(answer.probabilities));
  if (answer.shots) $("answer").append(element("p", { textContent: `${answer.shots.length} shots` }), shotButtons(answer.shots));
  const drawn = answer.probabilities || answer.shots;
  $("answer").append(
    element("details", { open: !drawn }, element("summary", { textContent: "JSON" }), element("pre", { textContent: text })),
  );
}

function playTogether() {
  const [input, output] = [$("input"), $("output")];
  const follow = () => {
    if (Math.abs(output.currentTime - input.currentTime) > 0.1) output.currentTime = input.currentTime;
  };
  input.onplay = () => { follow(); output.play(); };
  input.onpause = () => output.pause();
  input.onseeked = follow;
}

async function showAnswer(content, name) {
  const isVideo = content.type.startsWith("video/");
  const address = URL.createObjectURL(content);
  addresses.push(address);
  const stem = name.replace(/\.[^.]*$/, "");
  Object.assign($("download"), { href: address, download: `${stem}.answer.${isVideo ? "mp4" : "json"}`, hidden: false });
  if (isVideo) {
    show($("output"), content, $("answer-note"));
    playTogether();
  } else {
    showJson(await content.text());
  }
}

async function reasonOf(request) {
  const fallback = request.status ? `status ${request.status}` : "the connection broke off";
  try {
    const reason = JSON.parse(await request.response.text()).error || fallback;
    const wait = request.getResponseHeader("retry-after");
    return wait ? `${reason}; try again in ${wait} s` : reason;
  } catch {
    return fallback;
  }
}

function send(file) {
  clearAnswer();
  const start = performance.now();
  const request = new XMLHttpRequest();
  const form = new FormData();
  form.append("video", file);
  request.open("POST", "/predict");
  request.responseType = "blob";
  if ($("token").value) request.setRequestHeader("authorization", `Bearer ${$("token").value}`);
  request.upload.onprogress = (event) => {
    $("progress").value = event.loaded / event.total;
    say(`sending, ${Math.round((100 * event.loaded) / event.total)} %`);
  };
  request.upload.onload = () => {
    $("progress").removeAttribute("value");
    say("working");
  };
  request.onloadend = async () => {
    $("progress").hidden = true;
    $("send").disabled = false;
    if (request.status === 200) {
      await showAnswer(request.response, file.name);
      say(`answered in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    } else {
      say(await reasonOf(request), { bad: true });
    }
  };
  $("send").disabled = true;
  $("progress").hidden = false;
  $("progress").value = 0;
  request.send(form);
}

let chosen = null;
function take(files) {
  if (files.length) choose((chosen = files[0]));
}
$("file").onchange = () => take($("file").files);
$("drop").ondragover = (event) => { event.preventDefault(); $("drop").classList.add("over"); };
$("drop").ondragleave = () => $("drop").classList.remove("over");
$("drop").ondrop = (event) => { event.preventDefault(); $("drop").classList.remove("over"); take(event.dataTransfer.files); };
$("form").onsubmit = (event) => { event.preventDefault(); if (chosen) send(chosen); };
readHealth();
