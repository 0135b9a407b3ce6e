// Each block can be copied, and a Python block also with what it needs: the page's program up to and with it.
// A block above that is not run is no part of what it needs.

const words = document.documentElement.lang.startsWith("zh")
  ? { block: "复制", needed: "连同前面所需的代码一起复制", copied: "已复制" }
  : { block: "Copy", needed: "Copy with what it needs from above", copied: "Copied" }

const program = [...document.querySelectorAll("article .language-python:not(.claim-test) pre > code")]
const text = code => code.textContent.trimEnd() + "\n"

function button(kind, content) {
  const button = document.createElement("button")
  button.className = "copy"
  button.title = words[kind]
  button.setAttribute("aria-label", words[kind])
  button.toggleAttribute(`data-copy-${kind}`, true)
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(content())
    button.classList.add("copied")
    button.setAttribute("aria-label", words.copied)
    setTimeout(() => {
      button.classList.remove("copied")
      button.setAttribute("aria-label", words[kind])
    }, 2000)
  })
  return button
}

for (const code of document.querySelectorAll("article .highlight pre > code")) {
  const above = program.slice(0, program.indexOf(code)).filter(code => !code.closest(".not-run"))
  const buttons = document.createElement("span")
  buttons.className = "copies"
  if (program.includes(code)) buttons.append(button("needed", () => [...above, code].map(text).join("\n")))
  buttons.append(button("block", () => text(code)))
  code.parentElement.after(buttons)
}
