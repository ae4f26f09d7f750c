/** When a release that is tried is found good, and what the agent answers to those who want it to restart. */
import { judgeHealth } from '../../../agent/update/gate.ts'
import { installUpdate } from '../../../agent/update/install.ts'
import { readState } from '../../../agent/update/releases.ts'
import { createUpdates } from '../../../agent/update/run.ts'
import { chooseStart } from '../../../agent/update/start.ts'
import { createSystemTime, scaleFrom } from '../../../drivers/clock.ts'
import type { Handler } from '../../../drivers/http/server.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { createSimTree } from '../../../hw/sim/tree.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { KEYS, noWait, sourceOf, updateOf, verifier } from './update-bench.ts'

const test = suite('health gate')

test('good is: every meter that was read before, the ledger where it was followed; bad only at the deadline', () => {
  const base = { configured: ['grid', 'L1', 'pv'], ledgerFollowed: false, upMs: 10, deadlineMs: 100 }
  for (const expect of [undefined, { meters: [], ledger: false }, { meters: ['grid', 'L1', 'gone'], ledger: true }]) {
    for (const signed of [[], ['pv'], ['grid'], ['grid', 'L1']]) {
      for (const ledgerFollowed of [false, true]) {
        for (const upMs of [99, 100]) {
          const { verdict } = judgeHealth({ ...base, expect, signed: new Set(signed), ledgerFollowed, upMs })
          const good =
            expect === undefined
              ? signed.length > 0
              : expect.meters.length === 0 || (signed.includes('L1') && ledgerFollowed)
          assert.is(
            verdict,
            good ? 'good' : upMs < 100 ? 'wait' : 'bad',
            JSON.stringify({ expect, signed, ledgerFollowed }),
          )
        }
      }
    }
  }
})

test('a gateway without meters is good when it is up', () => {
  const facts = {
    expect: undefined,
    configured: [],
    signed: new Set<string>(),
    ledgerFollowed: false,
    upMs: 0,
    deadlineMs: 9,
  }
  assert.is(judgeHealth(facts).verdict, 'good')
})

/** An agent with one meter, which a test makes read, and one deal, which it lets run. */
async function site(more: { readonly damaged?: boolean; readonly speed?: number } = {}) {
  const disk = createSimTree({ random: seededRandom(1) })
  const tree = disk.mount()
  const settings = { tree, timers: noWait, verifier, packaged: 10 } as const
  await installUpdate(
    sourceOf(await updateOf(11)),
    { ...settings, keys: KEYS, architecture: 'amd64' },
    { meters: ['grid'], ledger: false },
  )
  const chosen = await chooseStart({ ...settings, keys: ok(KEYS), onFault: () => {} })
  if (chosen.start !== 'candidate') throw new Error('the setting is wrong')
  if (more.damaged) disk.file(`${chosen.folder}/files/agent/tieline.js`)![0]! ^= 1
  const hear: ((name: string, signed: unknown) => void)[] = []
  const busy = { deal: false }
  const paused: boolean[] = []
  const deal = { peer: 'oak', runner: { over: () => !busy.deal, deal: () => ({ state: 'flowing' }) } }
  const agent = {
    config: { site: 'maple', meters: { grid: { everyMs: 1000 } } },
    metering: { onSigned: (each: (typeof hear)[number]) => void hear.push(each), latest: () => undefined },
    trading: { deals: () => [deal], pause: (on: boolean) => void paused.push(on) },
    sessions: { list: () => [{ state: 'ended', port: 'garage' }] },
  } as unknown as Parameters<typeof createUpdates>[0]['agent']
  const { clock, timers } = createSystemTime(scaleFrom(0, more.speed ?? 1000))
  let looks = 0
  const watched = {
    mono: () => {
      looks++
      return clock.mono()
    },
  }
  const updates = createUpdates({
    ...{ agent, tree, verifier, clock: watched, timers, log: () => {} },
    started: { name: chosen.name, tried: true },
    keys: async () => ok(KEYS),
  })
  const signed = (reason: string, errors: readonly string[] = []) => {
    for (const each of hear) each('grid', { reading: { reason, errors } })
  }
  const state = async () => must(await readState(tree))
  return { updates, signed, state, busy, paused, name: chosen.name, tree, looks: () => looks }
}

async function settled(until: () => Promise<boolean>): Promise<void> {
  while (!(await until())) await new Promise(resolve => setTimeout(resolve, 5))
}

test('gaps and readings with an error count for nothing; the first good one confirms, and the counter rises', async () => {
  // A minute to the deadline: time for a busy machine.
  const { updates, signed, state, name, tree, looks } = await site({ speed: 5 })
  signed('gap')
  signed('periodic', ['energy'])
  updates.start()
  await settled(async () => looks() > 3)
  assert.is((await state()).candidate?.name, name)
  signed('periodic')
  await settled(async () => (await state()).good === name)
  await settled(async () => (await tree.read('highest-release', 100)).ok)
  await settled(async () => {
    const reply = await updates.routes['GET /api/update']!({} as Parameters<Handler>[0])
    return reply.kind === 'json' && !(reply.value as { tried: boolean }).tried
  })
  updates.stop()
}, 55_000)

test('at the deadline it is given up by name, and the agent ends', async () => {
  const { updates, state, name } = await site()
  updates.start()
  assert.is(await updates.over, 'given-up')
  const { candidate, failed } = await state()
  assert.is(candidate, undefined)
  assert.is(failed?.name, name)
})

test('bytes that are no longer those that were signed are not confirmed, whatever they read', async () => {
  const { updates, signed, state } = await site({ damaged: true })
  updates.start()
  signed('periodic')
  assert.is(await updates.over, 'given-up')
  assert.match((await state()).failed!.why, /other-bytes/)
})

test('a restart waits while a deal runs, unless it is to be now; strangers and other words are refused', async () => {
  const { updates, busy, paused, name } = await site()
  const ask = async (route: string, body: string, local = true) => {
    const asked = { body: utf8(body), local } as unknown as Parameters<Handler>[0]
    const reply = await updates.routes[route]!(asked)
    return reply.kind === 'json' ? { status: reply.status, value: reply.value as Record<string, unknown> } : undefined
  }
  const restart = 'POST /api/update/restart'
  busy.deal = true
  const seen = await ask('GET /api/update', '')
  assert.equal(seen?.value, {
    site: 'maple',
    release: name,
    tried: true,
    meters: [],
    ledger: false,
    busy: ['a deal with oak (flowing)'],
  })
  assert.is((await ask(restart, '{"now":true}', false))?.status, 403)
  for (const body of ['', '{}', '[]', 'null', '{"now":1}', '{"now":true,"x":1}'])
    assert.is((await ask(restart, body))?.status, 400)
  const refused = await ask(restart, '{"now":false}')
  assert.is(refused?.status, 409)
  assert.is(refused?.value['code'], 'update.busy')
  assert.is(paused[0], true)
  let over: string | undefined
  void updates.over.then(how => {
    over = how
  })
  await new Promise(resolve => setTimeout(resolve, 20))
  assert.is(over, undefined)
  busy.deal = false
  assert.is((await ask(restart, '{"now":false}'))?.status, 200)
  assert.is(await updates.over, 'restart')
})

test.run()
