/** The GPIO lines of a bank on this machine: the chips that have them, and what the kernel calls them there. */
import { loadLibc } from '../drivers/native/libc.ts'
import type { GpioBank } from '../drivers/relays/gpio-bank.ts'
import { type GpioChip, openGpioChip, systemCalls } from '../drivers/relays/gpio-chip.ts'
import { type Fault, fail, ok, type Result } from '../protocol/result.ts'
import type { GpioLinePlace } from './gpio-wiring.ts'

/** The chips that are looked through where none is named: a Raspberry Pi 5 has the most, with its header on 0 or 4. */
const CHIPS_MOST = 16

type OpenChip = (path: string) => Result<GpioChip>

/** `chip` as in `gpiochip0` or its path. The lines go by their own names, whatever the kernel calls them, and may lie on several chips. */
export async function openGpioLines(
  chip: string | undefined,
  lines: readonly GpioLinePlace[],
  openChip?: OpenChip,
): Promise<Result<GpioBank>> {
  const open = openChip === undefined ? await systemChips() : ok(openChip)
  if (!open.ok) return open
  const paths =
    chip === undefined
      ? Array.from({ length: CHIPS_MOST }, (_, n) => `/dev/gpiochip${n}`)
      : [chip.startsWith('/') ? chip : `/dev/${chip}`]
  const chips: GpioChip[] = []
  let why: Fault | undefined
  for (const path of paths) {
    const opened = open.value(path)
    if (opened.ok) chips.push(opened.value)
    // Of a chip that may not be opened nobody knows whether it is the one; what is merely not there says nothing.
    else if (why === undefined || (why.code === 'gpio.no-chip' && opened.fault.code !== 'gpio.no-chip'))
      why = opened.fault
  }
  const found = new Map<string, FoundLine>()
  for (const place of lines) {
    const line = find(place, chips)
    if (line !== undefined) found.set(place.name, line)
  }
  const used = new Set([...found.values()].map(({ on }) => on))
  const missing = lines.find(({ name }) => !found.has(name))
  for (const one of chips) if (missing !== undefined || !used.has(one)) one.close()
  if (missing === undefined) return ok(bankOf([...used], found))
  if (why !== undefined && (why.code !== 'gpio.no-chip' || chips.length === 0)) return fail(why)
  return fail({ code: 'gpio.no-such-line', line: missing.name, chips: chips.map(({ name }) => name) })
}

interface FoundLine {
  readonly on: GpioChip
  readonly as: string
}

/** On the chip of that label where there is one, by a name or else by its offset; else on the first that has such a name. */
function find(
  { name, chip, offset, kernelNames = [] }: GpioLinePlace,
  chips: readonly GpioChip[],
): FoundLine | undefined {
  const own = chips.filter(({ label }) => label === chip)
  for (const on of own.length > 0 ? own : chips) {
    const as = [...kernelNames, name].find(one => on.lines.includes(one))
    if (as !== undefined) return { on, as }
  }
  for (const on of own) {
    const as = offset === undefined ? undefined : on.lineAt(offset)
    if (as !== undefined) return { on, as }
  }
  return undefined
}

async function systemChips(): Promise<Result<OpenChip>> {
  const libc = await loadLibc()
  if (!libc.ok) return libc
  const calls = systemCalls(libc.value)
  return ok(path => openGpioChip({ path, calls }))
}

/** Chips as one bank of the lines that were found. */
function bankOf(chips: readonly GpioChip[], found: ReadonlyMap<string, FoundLine>): GpioBank {
  const name = chips.map(one => one.name).join(', ')
  const at = <T>(line: string, act: (place: FoundLine) => Result<T>): Result<T> => {
    const place = found.get(line)
    return place === undefined ? fail({ code: 'gpio.no-such-line', chip: name, line }) : act(place)
  }
  return {
    name,
    lines: [...found.keys()],
    watchdogMs: undefined,
    setOutput: (line, level) => at(line, ({ on, as }) => on.setOutput(as, level)),
    setInput: line => at(line, ({ on, as }) => on.setInput(as)),
    read: line => at(line, ({ on, as }) => on.read(as)),
    close() {
      for (const one of chips) one.close()
    },
  }
}
