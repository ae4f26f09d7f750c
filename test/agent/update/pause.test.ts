/**
 * A restart for another release waits for a pause in deals and charging sessions: whole agents in virtual time, asked by the command
 * and over HTTP, judged by what the simulated wires carry.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Agent } from '../../../agent/compose.ts'
import { machineArchitecture } from '../../../agent/update/place.ts'
import { readState } from '../../../agent/update/releases.ts'
import { createUpdates } from '../../../agent/update/run.ts'
import { createWeb } from '../../../agent/web/server.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { askJson } from '../../../drivers/http/client.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { openTree } from '../../../drivers/store/tree.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import type { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { must, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { createSessionSite, SESSION_CONFIG } from '../charging/session-site.ts'
import { runTieline } from '../cli/cli-run.ts'
import { openLineStreet } from '../line-street.ts'
import { smallSite } from '../small-site.ts'
import { exampleSnapshot } from '../snapshot-example.ts'
import { KEYS, ours, updateOf, verifier } from './update-bench.ts'

const root = mkdtempSync(join(tmpdir(), 'tieline-pause-'))
const keys = join(root, 'keys')
writeFileSync(keys, KEYS)
const eleven = join(root, '11.update')
writeFileSync(eleven, await updateOf(11, { architecture: machineArchitecture() }, [ours]))

type Time = Pick<ReturnType<typeof createSimPorts>['time'], 'clock' | 'timers'>

/** What failed tests leave listening. */
const closers = new Set<() => Promise<void>>()
let stores = 0
/** What `tieline run` puts beside an agent for updates, behind the real server, and the command that asks it. */
async function updatable(agent: Agent, { clock, timers }: Time) {
  const store = join(root, `store-${++stores}`)
  mkdirSync(store)
  const updates = createUpdates({
    ...{ agent, verifier, clock, timers, started: undefined, tree: openTree(store), log: () => {} },
    keys: async () => ok(KEYS),
  })
  let over: string | undefined
  void updates.over.then(how => {
    over = how
  })
  const web = must(
    await createWeb({
      ...{
        serve: serveHttp,
        host: '127.0.0.1',
        port: 0,
        page: [],
        snapshot: () => exampleSnapshot,
        site: updates.routes,
      },
      ...{ everyMs: 1000, timers: createSystemTime().timers, onBug: error => assert.unreachable(String(error)) },
    }),
  )
  closers.add(web.close)
  const site = join(root, `${stores}.yaml`)
  const text = smallSite(`{seed: ${'01'.repeat(32)}}`).replace('site: maple', `site: ${agent.config.site}`)
  writeFileSync(site, `${text}bench: true\npage: {listen: 127.0.0.1:${web.port}}\n`)
  return {
    over: () => over,
    /** Status of the answer, and what it says is in the way. */
    async ask(now = false) {
      const { status, value } = must(await askJson(`${web.url}/api/update/restart`, { now }))
      return { status, interrupted: (value as { interrupted?: readonly string[] }).interrupted ?? [] }
    },
    update: (word: string, ...args: string[]) =>
      runTieline(['update', word, ...args, '--config', site, '--json'], {
        env: { STATE_DIRECTORY: store, TIELINE_UPDATE_KEYS: keys },
      }),
    candidate: async () => must(await readState(openTree(store))).candidate?.name,
    async close() {
      updates.stop()
      closers.delete(web.close)
      await web.close()
    },
  }
}

const STEP_MS = 200
/** Of a slot of a minute: twenty seconds of notice, the slot, its receipts, its payment. */
const DEAL_MS = 8 * 60_000

/** One deal follows another over its line without a pause. */
async function lineStreet() {
  const { line, ports, running } = await openLineStreet()
  const flows = () => running.flows(line.id)
  const until = async (what: string, holds: () => boolean | Promise<boolean>, ms = DEAL_MS) => {
    for (let t = 0; t < ms; t += STEP_MS) {
      if (await holds()) return
      await ports.time.advance(STEP_MS)
    }
    assert.unreachable(`${what}: not within ${ms} ms`)
  }
  return {
    ...{ ports, running, line, flows, until, time: ports.time },
    agent: (site: string) => running.agents.get(site)!,
    end: (site: string) => awaited(ports.time, running.end(site)),
    start: async (site: string) => must(await awaited(ports.time, running.start(site))),
    stop: () => awaited(ports.time, running.stop()),
  }
}

/** What is in the way: the agent itself hears some seconds later than the wires that energy flows. */
const RUNNING = /^a deal with \w+ \((armed|started)\)$/

type LineStreet = Awaited<ReturnType<typeof lineStreet>>

/** Asks every five seconds, as the command does, until the agent restarts; what flowed at each answer. */
async function askPatiently(street: LineStreet, asked: Awaited<ReturnType<typeof updatable>>, ms = DEAL_MS) {
  const answers: { status: number; flowed: boolean }[] = []
  for (let t = 0; t < ms; t += 5_000) {
    const { status } = await asked.ask()
    answers.push({ status, flowed: street.flows() })
    if (status === 200) return answers
    await street.time.advance(5_000)
  }
  return answers
}

/** A busy machine may take ten times as long. */
const DEADLINE_MS = 120_000
const test = suite('restart in a pause')

for (const side of ['seller', 'buyer'] as const) {
  test(
    `the ${side} of a running deal is not restarted while energy flows; after its end it is, though another deal would have followed`,
    async () => {
      const street = await lineStreet()
      const { line, running, flows, until } = street
      const site = line[side]
      const asked = await updatable(street.agent(site), street.time)
      await until('energy flows', flows)
      const since = running.moves.length
      const said = await asked.update('install', eleven, '--wait', '0')
      const [{ restarts, interrupts, text }] = said.json()
      assert.equal([said.exit, restarts, said.err], [75, false, ''])
      assert.match(interrupts.join(), RUNNING)
      assert.match(text, /or now with tieline update install --now$/)
      assert.match((await asked.candidate())!, /^11-/)
      assert.equal([flows(), asked.over()], [true, undefined])
      // The deal goes to its end: its contacts open when its window is over, and not before.
      const { end } = street.agent(site).trading.deals()[0]!.runner.deal().contract
      const answers = await askPatiently(street, asked)
      const { clock } = street.time
      assert.ok(clock.now() > end)
      const opened = running.moves.slice(since).filter(({ position }) => position === 'open')
      assert.ok(opened.length > 0)
      for (const { at, contact } of opened) assert.ok(at >= end - 2_000, `${contact.kind} opened ${end - at} ms early`)
      assert.ok(answers.filter(({ status, flowed }) => status === 409 && flowed).length > 2)
      assert.equal(answers.at(-1), { status: 200, flowed: false })
      await until('it ends', () => asked.over() === 'restart', 1_000)
      await street.end(site)
      await asked.close()
      assert.not.ok(flows())
      // The next release trades again.
      await street.start(site)
      await until('energy flows again', flows)
      assert.equal(running.violations, [])
      await street.stop()
    },
    DEADLINE_MS,
  )
}

test(
  'an agent that goes on beginning deals meets no pause in the same time: that it begins none is what makes one',
  async () => {
    const street = await lineStreet()
    const agent = street.agent(street.line.seller)
    const asked = await updatable({ ...agent, trading: { ...agent.trading, pause: () => {} } }, street.time)
    await street.until('energy flows', street.flows)
    const answers = await askPatiently(street, asked)
    assert.ok(answers.every(({ status }) => status === 409))
    assert.is(asked.over(), undefined)
    await asked.close()
    await street.stop()
  },
  DEADLINE_MS,
)

test(
  'who stops asking costs a minute of trade and no more',
  async () => {
    const street = await lineStreet()
    const { flows, until } = street
    const agent = street.agent(street.line.seller)
    const asked = await updatable(agent, street.time)
    await until('energy flows', flows)
    assert.is((await asked.ask()).status, 409)
    const [{ runner }] = agent.trading.deals() as [
      (typeof agent)['trading']['deals'] extends () => readonly (infer D)[] ? D : never,
    ]
    await until('the deal is over', () => runner.over())
    await until('another deal flows', flows)
    assert.is(asked.over(), undefined)
    await asked.close()
    await street.stop()
  },
  DEADLINE_MS,
)

test(
  'an owner can force it: the deal is named, its contacts open, nothing is paid twice, and it trades again',
  async () => {
    const street = await lineStreet()
    const { line, running, flows, until } = street
    const asked = await updatable(street.agent(line.seller), street.time)
    await until('energy flows', flows)
    const { hash } = street.agent(line.buyer).trading.deals()[0]!.runner.deal()
    const said = await asked.update('install', eleven, '--now')
    const [{ restarts, interrupts, text }] = said.json()
    assert.equal([said.exit, restarts, said.err], [0, true, ''])
    assert.match(interrupts.join(), RUNNING)
    assert.match(text, /^the agent restarts, which interrupts a deal with/)
    await until('it ends', () => asked.over() === 'restart', 1_000)
    await street.end(line.seller)
    await asked.close()
    assert.is(running.wires.position({ kind: 'seller', of: line.id }), 'open')
    await until('nothing flows', () => !flows(), 10_000)
    await street.start(line.seller)
    const stopped = () =>
      street
        .agent(line.buyer)
        .trading.deals()
        .find(({ runner }) => runner.deal().hash === hash)!.runner
    await until('the deal is over', () => stopped().over())
    await until('energy flows again', flows)
    assert.equal(running.violations, [])
    await street.stop()
  },
  DEADLINE_MS,
)

type SessionSite = Awaited<ReturnType<typeof createSessionSite>>

async function charging(text?: string) {
  const site = await createSessionSite(text)
  const asked = await updatable(site.agent(), site)
  const until = async (what: string, holds: () => boolean, ms = 60_000) => {
    for (let t = 0; t < ms; t += STEP_MS) {
      if (holds()) return
      await site.advance(STEP_MS)
    }
    assert.unreachable(`${what}: not within ${ms} ms`)
  }
  await site.advance(20_000)
  return { site, asked, until, draws: () => site.box.station.drawnMa() > 0 }
}

const stopped = async ({ site, asked }: { site: SessionSite; asked: Awaited<ReturnType<typeof updatable>> }) => {
  await asked.close()
  await site.stop()
}

for (const [what, text, named] of [
  ['a charging session', SESSION_CONFIG, 'a charging session at garage'],
  [
    'a car at a charger without a meter',
    SESSION_CONFIG.replace(', meter: car, tariff: 0.39', ''),
    'a car that charges at garage',
  ],
] as const) {
  test(
    `${what} is not interrupted while energy flows; when the car has left it restarts`,
    async () => {
      const { site, asked, until, draws } = await charging(text)
      site.box.station.plug(true)
      await until('charging', draws)
      for (let minute = 0; minute < 10; minute++) {
        const before = site.flowedMwh()
        const { status, interrupted } = await asked.ask()
        assert.equal([status, interrupted], [409, [named]])
        await site.advance(60_000)
        // At least 6 A on three phases.
        assert.ok(site.flowedMwh() - before > 60_000, `${site.flowedMwh() - before} mWh`)
      }
      assert.is(asked.over(), undefined)
      site.box.station.plug(false)
      await until('nothing is in the way', () => !draws() && site.agent().charging!.views()[0]!.order.ma === 0)
      await until('the end', () => site.agent().sessions?.list()[0]?.state !== 'closing')
      const said = await asked.update('install', eleven)
      const [{ restarts, interrupts }] = said.json()
      assert.equal([said.exit, restarts, interrupts], [0, true, []])
      await until('it ends', () => asked.over() === 'restart', 1_000)
      await stopped({ site, asked })
    },
    DEADLINE_MS,
  )
}

test(
  'an owner can force it while a car charges: the session is named, the car stands still, and charges on after the start',
  async () => {
    const { site, asked, until, draws } = await charging()
    site.box.station.plug(true)
    await until('charging', draws)
    const said = await asked.update('install', eleven, '--now')
    const [{ restarts, interrupts }] = said.json()
    assert.equal([said.exit, restarts, interrupts], [0, true, ['a charging session at garage']])
    await until('it ends', () => asked.over() === 'restart', 1_000)
    await stopped({ site, asked })
    await until('nothing flows', () => !draws())
    await site.restart()
    await until('charging again', draws)
    await site.stop()
  },
  DEADLINE_MS,
)

test('removes its folder', async () => {
  for (const close of closers) await close()
  rmSync(root, { recursive: true, force: true })
})

test.run()
