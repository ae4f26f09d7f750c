/** Calls a function ten thousand times: the program whose compiler compiler.test.ts listens to. */
import { compileRarely } from '../../../drivers/process/compiler.ts'

function calledOften(sum: number, add: number): number {
  return ((sum << 5) ^ (sum >>> 27) ^ (add * 31)) | 0
}

if (process.argv[2] === 'rarely') compileRarely()
let sum = 0
for (let i = 0; i < 10_000; i++) sum = calledOften(sum, i)
process.stdout.write(`sum ${sum}\n`)
