/** Of each boundary one reading, the first that may be settled on. */

import type { Metering } from '../../../agent/metering/run.ts'
import { followBoundaries } from '../../../agent/roles/boundary-readings.ts'
import { SLOT_MS } from '../../../protocol/market/baseline.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('readings of boundaries')

type Listener = Parameters<Metering['onSigned']>[0]

function follow() {
  const listeners: Listener[] = []
  const readingAt = followBoundaries({ onSigned: listener => void listeners.push(listener) }, 'grid')
  let number = 0
  const sign = (at: number, change: Partial<Reading> = {}, meter = 'grid') => {
    const envelope = Uint8Array.of(++number >> 8, number)
    const reading = {
      time: instant(at),
      quality: 'synchronised',
      reason: 'periodic',
      errors: [],
      ...change,
    } as unknown as Reading
    for (const told of listeners)
      told(meter, { envelope, context: new Uint8Array(1), hash: new Uint8Array(32), reading })
    return number
  }
  const at = async (boundary: number) => {
    const found = await readingAt(instant(boundary))
    return found && found.envelope[0]! * 256 + found.envelope[1]!
  }
  return { sign, at }
}
const BOUNDARY = 2_000_000 * SLOT_MS

test('the first in the half minute from the boundary on stands, and no other', async () => {
  const { sign, at } = follow()
  sign(BOUNDARY - 1)
  assert.is(await at(BOUNDARY), undefined)
  const first = sign(BOUNDARY + 2000)
  sign(BOUNDARY + 17_000)
  assert.is(await at(BOUNDARY), first)
  sign(BOUNDARY + SLOT_MS + 30_001)
  assert.is(await at(BOUNDARY + SLOT_MS), undefined, 'half a minute and no more')
  const last = sign(BOUNDARY + 2 * SLOT_MS + 30_000)
  assert.is(await at(BOUNDARY + 2 * SLOT_MS), last)
  assert.is(await at(BOUNDARY + 1), undefined, 'no boundary')
})

test('gaps, readings in error, of an unknown time or of another meter are passed over', async () => {
  const { sign, at } = follow()
  sign(BOUNDARY, { reason: 'gap' })
  sign(BOUNDARY, { errors: ['energy'] })
  sign(BOUNDARY, { quality: 'unknown' })
  sign(BOUNDARY, {}, 'line')
  assert.is(await at(BOUNDARY), undefined)
  const sound = sign(BOUNDARY + 15_000)
  assert.is(await at(BOUNDARY), sound)
})

test('what is older than a baseline looks back is forgotten', async () => {
  const { sign, at } = follow()
  const days = 50 * 96
  for (let slot = 0; slot < days; slot++) sign(BOUNDARY + slot * SLOT_MS)
  assert.is(await at(BOUNDARY + (days - 46 * 96 - 1) * SLOT_MS), undefined)
  assert.is(await at(BOUNDARY + (days - 46 * 96) * SLOT_MS), days - 46 * 96 + 1)
})

test.run()
