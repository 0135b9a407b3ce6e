// The search index grows with the course: it is fetched when a reader turns to the search, not with every page.

const { open, send } = XMLHttpRequest.prototype

XMLHttpRequest.prototype.open = function (method, url, ...rest) {
  this.waits = String(url).endsWith("search_index.json")
  return open.call(this, method, url, ...rest)
}

XMLHttpRequest.prototype.send = function (body) {
  const query = document.querySelector("[name=query]")
  if (!this.waits || query === document.activeElement) return send.call(this, body)
  query.addEventListener("focus", () => send.call(this, body), { once: true })
}

// Material cuts Chinese in a query into words of the index, but never takes one that ends with the query: it
// would look for 权重 where 权重衰减 was typed. So the query is cut here, each word of more than one character must be
// found (+), and a last character that stands in no word makes Material leave it whole.

const [SETUP, QUERY] = [0, 2]
const CHINESE = /\p{sc=Han}+/gu
const LAST = "\u3400"
const known = new Set()
const { postMessage } = Worker.prototype

Worker.prototype.postMessage = function (message, ...rest) {
  if (message.type === SETUP) {
    for (const { title, text } of message.data.docs)
      for (const [word] of `${title} ${text}`.matchAll(CHINESE)) known.add(word)
  }
  if (message.type === QUERY && !message.data.includes('"'))
    message = { ...message, data: message.data.replace(CHINESE, typed => ` ${cut(typed)} `).trim() }
  return postMessage.call(this, message, ...rest)
}

// The words of the index that make up what was typed, from the left, the longest first; the rest as it is.
function cut(typed) {
  if (!typed) return ""
  let end = typed.length
  while (end && !known.has(typed.slice(0, end))) end--
  return end ? `${end > 1 ? "+" : ""}${typed.slice(0, end)}${LAST} ${cut(typed.slice(end))}` : typed
}
