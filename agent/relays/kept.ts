/** What of the relays outlives a restart: latched welds, and that a person has taken the contacts over. */
import type { Disk } from '../../drivers/ports.ts'
import { fromUtf8, utf8 } from '../../protocol/bytes.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { RelayControlOptions } from './run.ts'
import { readWelds, writeWelds } from './welds.ts'

const FILE = 'manual'
const [ON, OFF] = ['on', 'off']

export type KeptRelays = Pick<RelayControlOptions, 'welds' | 'keepWelds' | 'manual' | 'keepManual'>

/** A list of welds that cannot be read is a fault. */
export async function readKept(disk: Disk): Promise<Result<KeptRelays>> {
  const welds = await readWelds(disk)
  if (!welds.ok) return welds
  const manual = await disk.read(FILE)
  return ok({
    welds: welds.value,
    keepWelds: all => writeWelds(disk, all),
    // Somebody may be working at a contact: whatever does not say that he is done says that he is there.
    manual: manual.ok ? fromUtf8(manual.value) !== OFF : manual.fault.code !== 'disk.missing',
    keepManual: on => keepManual(disk, on),
  })
}

/** From the next start on. */
export const keepManual = (disk: Disk, on: boolean): Promise<Result<void>> => disk.replace(FILE, utf8(on ? ON! : OFF!))
