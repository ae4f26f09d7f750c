/** Latched welds on disk: they outlive a restart, until a person has been at the contact. */
import type { Disk } from '../../drivers/ports.ts'
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { WeldSign } from '../../protocol/safety/weld.ts'
import { instant } from '../../protocol/time.ts'
import type { Weld } from './state.ts'

const FILE = 'welds.json'

const CODES: readonly string[] = ['weld.auxiliary', 'weld.current', 'weld.voltage'] satisfies WeldSign['code'][]

/** What was latched; none where nothing was ever kept. A file that cannot be read is a fault: it may have held a weld. */
export async function readWelds(disk: Disk): Promise<Result<readonly Weld[]>> {
  const read = await disk.read(FILE)
  if (!read.ok) return read.fault.code === 'disk.missing' ? ok([]) : read
  const unreadable = (reason: string) =>
    fail({ code: 'welds.unreadable', file: FILE, reason, hint: 'look at the contacts, then remove the file' })
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(read.value) ?? '')
  } catch {
    // A broken file is the answer here, not a bug.
    return unreadable('not JSON')
  }
  return Array.isArray(value) && value.every(isWeld)
    ? ok(value.map(({ contact, at, sign }) => ({ contact, at: instant(at), sign })))
    : unreadable('not a list of welds')
}

export const writeWelds = (disk: Disk, welds: readonly Weld[]): Promise<Result<void>> =>
  disk.replace(FILE, utf8(`${JSON.stringify(welds, null, 2)}\n`))

function isWeld(value: unknown): value is { contact: string; at: number; sign: WeldSign } {
  if (typeof value !== 'object' || value === null) return false
  const { contact, at, sign } = value as Record<string, unknown>
  const code = typeof sign === 'object' && sign !== null ? (sign as Record<string, unknown>)['code'] : undefined
  return typeof contact === 'string' && Number.isSafeInteger(at) && typeof code === 'string' && CODES.includes(code)
}
