/** A program for the tests of drivers/process: says what it was told, then waits to be ended in order. */
import { interruption } from '../../../drivers/process/signals.ts'

const [mode] = process.argv.slice(2)
const interrupted = interruption()
process.stderr.write(`mode ${mode}\n`)
process.stdout.write('{"ready":true}\nunfinished')
const stay = setInterval(() => {}, 1000)
await interrupted
process.stdout.write(' asked\n')
// A stubborn program does not come to its end.
if (mode !== 'stubborn') clearInterval(stay)
process.exitCode = 3
