/** How soon V8, the engine of Node, compiles a function that runs often. */
import { setFlagsFromString } from 'node:v8'

/**
 * Bytes of bytecode that a function runs through before V8 thinks of compiling it: sixteen times V8's own 66 kB. A gateway runs each
 * function for days, so at V8's own pace nearly all of them end compiled, which nobody waits for: five megabytes more after six
 * minutes, and growing, for 3 % more processor time, as the compiler itself is what runs.
 */
const BUDGET_BYTES = 16 * 66 * 1024

/** V8 11 (Node 20) knows this flag; later ones count calls, and would print that they do not know it. */
const KNOWN_TO = /^11\./

/** For the whole process, from the next time on that a function's budget is used up. */
export function compileRarely(): void {
  if (KNOWN_TO.test(process.versions.v8)) setFlagsFromString(`--interrupt-budget=${BUDGET_BYTES}`)
}
