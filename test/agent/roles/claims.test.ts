import { createClaims } from '../../../agent/roles/claims.ts'
import type { LedgerView } from '../../../agent/roles/part.ts'
import { drainMicrotasks } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const t = suite('claims')

/** A ledger that proves of everything that it is not there. */
const emptyLedger = {
  chainId: 'net',
  light: { prove: async () => ok({ value: undefined }), health: () => ({ state: 'ok' }), head: () => undefined },
  account: { submit: async () => ok(new Uint8Array(32)) },
  nodes: [],
} as unknown as LedgerView

function desk() {
  const { clock, timers, advance } = createSimTime(1_800_000_000_000, drainMicrotasks)
  const said: string[] = []
  let records = 0
  const claims = createClaims({
    energy: emptyLedger,
    distribution: emptyLedger,
    patienceMs: 0,
    clock,
    timers,
    log: (_, __, text) => said.push(text),
    health: () => {},
    record: async () => {
      records++
      return ok(undefined)
    },
  })
  return { claims, said, advance, records: () => records }
}

const invented = (n: number): Uint8Array => sha256(utf8(`no reservation ${n}`))

t('a peer that invents reservations fills neither the list nor the journal, and is named once', async () => {
  const { claims, said, records } = desk()
  for (let n = 0; n < 1_000; n++) await claims.follow(invented(n), 'mallory')
  assert.is(claims.stats().waiting, 64)
  assert.is(records(), 64)
  assert.equal(said, ['mallory names more reservations than the ledger shows'])
  await claims.follow(invented(2_000), 'alice')
  assert.is(claims.stats().waiting, 65, 'another peer is heard all the same')
})

t('what the ledger does not bear out is forgotten, and the peer is heard again', async () => {
  const { claims, advance } = desk()
  claims.start()
  for (let n = 0; n < 100; n++) await claims.follow(invented(n), 'mallory')
  await advance(180_000)
  assert.is(claims.stats().waiting, 0)
  await claims.follow(invented(200), 'mallory')
  assert.is(claims.stats().waiting, 1)
  claims.stop()
})

t('the own word is not rationed', async () => {
  const { claims } = desk()
  for (let n = 0; n < 100; n++) await claims.follow(invented(n))
  assert.is(claims.stats().waiting, 100)
})

t.run()
