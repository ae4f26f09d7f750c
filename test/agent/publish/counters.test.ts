/**
 * Counters through any life: meters come and go, the agent restarts in order or by a power cut, the journal refuses for a
 * while. Judged by what each meter itself counted, and by the last value that anybody was told.
 */

import { keepForRestart } from '../../../agent/keeping.ts'
import { createChain, type SignedReading } from '../../../agent/metering/chain.ts'
import { createCounters } from '../../../agent/publish/counters.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import type { Clock } from '../../../drivers/ports.ts'
import type { JournalRecord } from '../../../drivers/store/journal-block.ts'
import { fail, ok } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import type { Instant, Mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { fc } from '../../property.ts'

const test = suite('counters of meters that are exchanged')

/** A journal by its rule of what is kept, and nothing else. */
function createKeeper() {
  const kept = new Map<string, JournalRecord>()
  let refusing = false
  return {
    refuse: (on: boolean) => {
      refusing = on
    },
    journal: {
      kept: () => [...kept.values()],
      append: async (kind: string, bytes: Uint8Array) => {
        if (refusing) return fail({ code: 'journal.busy', queuedBytes: 1 } as const)
        const record = { kind, at: 0 as Instant, bytes } as JournalRecord
        const as = keepForRestart(record)?.as
        if (as !== undefined) {
          kept.delete(as)
          kept.set(as, record)
        }
        return ok({ index: 0, segment: 1, at: 0 })
      },
    },
  }
}

function createSite() {
  const keeper = createKeeper()
  const signer = createSigner(new Uint8Array(32).fill(7))
  let now = 1_700_000_000_000
  const clock = { now: () => now as Instant, mono: () => now as Mono } as unknown as Clock
  const chains = new Map<string, ReturnType<typeof createChain>>()
  let hear: ((name: string, signed: SignedReading) => void)[] = []
  const start = () => {
    hear = []
    const metering = { onSigned: (listener: (typeof hear)[number]) => void hear.push(listener) }
    return createCounters({ journal: keeper.journal, metering, log: () => {} })
  }
  let counters = start()
  return {
    ...keeper,
    restart: () => {
      counters = start()
    },
    /** As far as metering goes: durable, then told on unless the power fails in between. */
    async read(meterId: string, register: bigint, cut = false) {
      now += 15_000
      const chain =
        chains.get(meterId) ??
        createChain({
          ...{ name: 'grid', meterId, page: 'x', signer, journal: keeper.journal as never, clock, boot: 1 },
          clockSets: () => 0,
          identity: {
            device: new Uint8Array(17),
            software: new Uint8Array(32),
            trust: 'software',
            timeSource: () => 'ntp',
          },
          restored: undefined,
        } as unknown as Parameters<typeof createChain>[0])
      chains.set(meterId, chain)
      const registers = [{ obis: OBIS.energyImport, value: register, scaler: 0, unit: 'Wh' } as const]
      const worth = {
        taken: now as Instant,
        takenMono: now as Mono,
        quality: 'synchronised',
        beforeSync: false,
        errors: [],
      } as const
      const signed = await chain.sign({ registers, reason: 'periodic', ...worth, urgent: false })
      if (signed.ok && !cut) for (const one of hear) one('grid', signed.value)
      return signed.ok
    },
    told: () => counters.told('grid', 'energy_import'),
  }
}

const settle = async () => {
  for (let n = 0; n < 5; n++) await Promise.resolve()
}

test('a swap while the power was off adds nothing of the new meter, and a second restart changes nothing', async () => {
  const site = createSite()
  await site.read('a', 900n)
  assert.is(site.told(), 900_000n)
  site.restart()
  assert.is(site.told(), 900_000n, 'out of the journal')
  await site.read('b', 70_000n)
  await settle()
  assert.is(site.told(), 900_000n)
  await site.read('b', 70_005n)
  for (let n = 0; n < 2; n++) {
    assert.is(site.told(), 905_000n)
    site.restart()
    await settle()
  }
  await site.read('b', 70_002n)
  assert.is(site.told(), undefined, 'a register that fell or rolled over')
})

test('whose base is not durable is not told', async () => {
  const site = createSite()
  await site.read('a', 900n)
  site.refuse(true)
  assert.not(await site.read('b', 3n))
  site.refuse(false)
  const only = site.journal.append
  site.journal.append = (kind, bytes) =>
    kind.startsWith('part/') ? Promise.resolve(fail({ code: 'journal.busy', queuedBytes: 1 })) : only(kind, bytes)
  await site.read('b', 4n)
  await settle()
  assert.is(site.told(), undefined)
  site.journal.append = only
  await site.read('b', 5n)
  await settle()
  assert.is(site.told(), 901_000n)
})

test('whatever happens, what is told never falls, and rises by what one meter counted while it stood there', async () => {
  const seen = { swaps: 0, restarts: 0, cuts: 0, told: 0 }
  const step = fc.record({
    meter: fc.constantFrom('a', 'a', 'a', 'b', 'c'),
    by: fc.bigInt(0n, 500n),
    after: fc.constantFrom('on', 'on', 'restart', 'cut'),
    refuse: fc.constantFrom(false, false, false, true),
  })
  const lives = fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
    const site = createSite()
    const registers = new Map([
      ['a', 1000n],
      ['b', 5n],
      ['c', 900_000n],
    ])
    let [standing, counted, first, last]: [string | undefined, bigint, bigint, bigint] = [undefined, 0n, 0n, 0n]
    for (const { meter, by, after, refuse } of steps) {
      const register = registers.get(meter)! + by
      registers.set(meter, register)
      site.refuse(refuse)
      const signed = await site.read(meter, register, after === 'cut')
      await settle()
      site.refuse(false)
      if (signed) {
        // The oracle: what the standing meter counted between two of its signed readings, one behind the other.
        if (standing === undefined) first = register
        else if (standing === meter) counted += register - last
        else seen.swaps++
        ;[standing, last] = [meter, register]
      }
      if (after !== 'on') {
        site.restart()
        await settle()
        seen[after === 'cut' ? 'cuts' : 'restarts']++
      }
      const told = site.told()
      if (told === undefined) continue
      assert.is(told, 1000n * (first + counted))
      seen.told++
    }
  })
  // The first half is the same each time, so that no count falls short by chance.
  await fc.assert(lives, { numRuns: 60, seed: 1 })
  await fc.assert(lives, { numRuns: 60 })
  for (const count of Object.values(seen)) assert.ok(count > 50, JSON.stringify(seen))
})

test.run()
