/**
 * Loaded before a program, shifts the wall clock that it sees, and nothing else: monotonic time and timers go on as they are,
 * as when somebody sets the clock of a machine. By SHIFTED_DATE_MS from the first, then by what its parent sends.
 */
const { Date: RealDate } = globalThis
let shiftMs = Number(process.env['SHIFTED_DATE_MS'] ?? 0)

const now = () => RealDate.now() + shiftMs

globalThis.Date = new Proxy(RealDate, {
  construct: (real, args, target) => Reflect.construct(real, args.length === 0 ? [now()] : args, target),
  apply: () => new RealDate(now()).toString(),
  get: (real, name) => (name === 'now' ? now : Reflect.get(real, name)),
})

process.on('message', (message: { readonly shiftMs: number }) => {
  shiftMs = message.shiftMs
})
// Whoever may set the clock keeps no program running.
process.channel?.unref()
