// How old a receipt is, in the page's language; after 30 days it turns grey.

const DAYS = 30

for (const time of document.querySelectorAll(".receipt time")) {
  const language = document.documentElement.lang
  const days = Math.floor((Date.now() - Date.parse(time.dateTime)) / 864e5)
  const age = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(-days, "day")
  time.after(language.startsWith("zh") ? `（${age.replace(/(\d)(?=\p{Script=Han})/u, "$1 ")}）` : ` (${age})`)
  time.parentElement.classList.toggle("receipt--old", days > DAYS)
}
