// What scrolls sideways, a block, a long formula, a wide table, can be reached and scrolled with the keyboard.

const reachable = new ResizeObserver(entries => {
  const wide = entries.map(({ target }) => target.scrollWidth > target.clientWidth) // all is read before any is changed
  entries.forEach(({ target }, index) => {
    if (wide[index]) target.setAttribute("tabindex", 0)
    else target.removeAttribute("tabindex")
  })
})

addEventListener("load", () => {
  for (const element of document.querySelectorAll("pre > code, math[display=block], .md-typeset__scrollwrap"))
    reachable.observe(element)
})
