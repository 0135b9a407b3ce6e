// The language switch keeps the reader's place, and the site's front door remembers the edition last read.

const edition = document.documentElement.lang.slice(0, 2)
try { localStorage.setItem("edition", edition) } catch (error) {}

document.querySelector(".edition-switch").addEventListener("click", event => {
  const link = event.target.closest("a")
  const passed = [...document.querySelectorAll("article :is(h2, h3)[id]")]
    .filter(heading => heading.getBoundingClientRect().top < innerHeight / 3)
  link.hash = passed.length ? passed.at(-1).id : ""
})
