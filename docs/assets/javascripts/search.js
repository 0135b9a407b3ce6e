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
