// What Material's scripts lack for those who use a keyboard or a screen reader.

const reachable = new ResizeObserver(entries => {
  for (const { target } of entries)
    if (target.scrollWidth > target.clientWidth) target.setAttribute("tabindex", 0)
    else target.removeAttribute("tabindex")
})

addEventListener("load", () => {
  // A long formula or a wide table that scrolls sideways can be reached and scrolled.
  for (const wide of document.querySelectorAll("math[display=block], .md-typeset__scrollwrap")) reachable.observe(wide)
  // The copy button of a block is not a navigation of the page.
  for (const buttons of document.querySelectorAll(".md-code__nav")) buttons.setAttribute("role", "none")
})
