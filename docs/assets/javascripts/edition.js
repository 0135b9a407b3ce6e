// The language switch keeps the reader's place, and the site's front door remembers the edition last read.

const edition = document.documentElement.lang.slice(0, 2)
try { localStorage.setItem("edition", edition) } catch (error) {}

document.querySelector(".edition-switch").addEventListener("click", event => {
  const inView = element => element && Math.abs(element.getBoundingClientRect().top - innerHeight / 2) < innerHeight / 2
  const passed = [...document.querySelectorAll("article :is(h2, h3)[id]")]
    .filter(heading => heading.getBoundingClientRect().top < innerHeight / 3)
  event.target.closest("a").hash = inView(document.querySelector(":target")) ? location.hash : passed.at(-1)?.id ?? ""
})
