import type { Agent } from '../../agent/compose.ts'
import { loadConfig } from '../../agent/config/load.ts'
import {
  absentSite,
  createLogTail,
  gridMeter,
  joinViews,
  kindOfSite,
  logInto,
  textOf,
  viewAgent,
} from '../../agent/web/agent-view.ts'
import { createCurveRing } from '../../agent/web/curve-ring.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { micros } from '../../protocol/quantity.ts'
import type { Fault } from '../../protocol/result.ts'
import { instant, mono } from '../../protocol/time.ts'
import { assert, suite } from '../harness.ts'

const KEY = 'ab'.repeat(32)
const configOf = (site: string, side: 'seller' | 'buyer', peer: string) => {
  const loaded = loadConfig(
    JSON.stringify({
      version: '1',
      site,
      role: 'household',
      data: 'data',
      keys: { account: 'a', metering: 'm', sealing: 's' },
      ledger: { chain: 'c', trust: { height: '1', hash: KEY }, primary: 'http://127.0.0.1:1', witnesses: [] },
      brokers: ['mqtt://127.0.0.1:1'],
      lines: { lan: { tcp: 'a:1' } },
      meters: {
        L1: { line: 'lan', protocol: 'modbus-tcp', page: 'shelly-pro-3em', unit: '1' },
        grid: { line: 'lan', protocol: 'modbus-tcp', page: 'shelly-pro-3em', unit: '2' },
      },
      relays: { board: { driver: 'johnny-five', bank: 'b' } },
      direct_lines: [
        {
          id: 'L1',
          side,
          peer,
          meter: 'L1',
          limit: '16A',
          peer_meter: '1',
          contacts: { line: 'board.1', ...(side === 'buyer' ? { own: 'board.2' } : {}) },
        },
      ],
      peers: { [peer]: { account: KEY, sealing: KEY, metering: KEY } },
      trade: {
        sell: { reserve: '0.1', opening: '0.2' },
        buy: { limit: '0.3', opening: '0.2' },
        slot: '60s',
        energy: '1kWh',
      },
    }),
    'site.yaml',
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  return loaded.value
}

const time = createSimTime(1_782_000_000_000, drainPromises)

/** What the page reads of an agent, without the agent: the compiler holds it to the agent's own types. */
function agentLike(
  site: string,
  side: 'seller' | 'buyer',
  peer: string,
  lineMw: number,
  steps: number,
  cause?: Fault,
): Agent {
  const reading = {
    meterId: '7',
    taken: instant(0),
    takenMono: mono(0),
    values: [{ obis: '1-0:1.8.0', value: 4426218n, scaler: 0, unit: 'Wh' }] as const,
    rawHash: new Uint8Array(32),
  }
  const parts: {
    [K in keyof Agent]?: Partial<Agent[K]>
  } = {
    config: configOf(site, side, peer),
    metering: {
      latest: name => (name === 'L1' ? { reading, power: lineMw as never, voltage: 230_000 as never } : undefined),
    },
    light: { head: () => undefined },
    account: { balance: () => micros(5n) },
    wear: () => ({ bytesWritten: 6760, bytesPerReading: 676, bytesPerDay: 9000 }),
    health: { items: () => [{ name: 'light', fault: { code: 'light.halted' }, since: instant(1) }] },
    relays: {
      view: () => ({
        side,
        wish: 'energise',
        position: 'closed',
        because: [{ code: 'permit.reading' }],
        welds: [],
        contacts: [
          {
            contact: 'L1.line',
            role: `${side}.line`,
            commanded: 'closed',
            seen: 'closed',
            since: mono(0),
            unsupervised: false,
            permit: { may: true },
            trouble: undefined,
          },
        ],
      }),
    },
    trading: {
      facts: () => ({ deal: undefined, proof: undefined, light: undefined, ownHeartbeat: undefined, peer: undefined }),
      deals: () => [
        {
          peer,
          requested: mono(0),
          runner: {
            deal: () => ({
              role: side,
              hash: new Uint8Array(32),
              contract: { line: 'L1', energy: 2000n, price: 184_000n },
              state: 'started',
              ownWh: side === 'seller' ? 700n : 650n,
              peerWh: side === 'seller' ? 640n : undefined,
              cause,
            }),
            history: Array.from({ length: steps }, (_, i) => ({ state: 'proposed', at: i, mono: mono(i) })),
            proof: () => undefined,
          } as unknown as ReturnType<Agent['trading']['deals']>[number]['runner'],
        },
      ],
    },
  }
  return parts as Agent
}

const around = { title: 'Street', time: 0, speed: 1, violations: [], log: [] }
const view = (agent: Agent) => viewAgent(agent, time.clock, createCurveRing(10, 1000))

const test = suite('agent view')

test('what a meter says is shown with its own digits', () => {
  assert.is(textOf({ obis: '1-0:1.8.0', value: 4426218n, scaler: -3, unit: 'Wh' }), '4426.218 Wh')
  assert.is(textOf({ obis: '1-0:16.7.0', value: -5n, scaler: -2, unit: 'W' }), '−0.05 W')
  assert.is(textOf({ obis: '1-0:1.8.0', value: 12n, scaler: 2, unit: 'Wh' }), '1200 Wh')
})

test('a silent meter is null and stale, never 0; health that stops trading is a fault', () => {
  const { site } = view(agentLike('maple', 'seller', 'cedar', -2_000_000, 1))
  assert.is(site.powerMw, null)
  assert.is(site.solarMw, null)
  const [line, grid] = site.meters
  assert.equal(line!.values, [{ label: 'Energy imported', text: '4426218 Wh' }])
  assert.ok(!line!.stale && grid!.stale && grid!.ageMs === null)
  assert.is(site.health[0]?.level, 'fault')
  assert.is(site.walletMicro, '5')
})

test("what the journal costs its card stands with the site's health", () => {
  assert.equal(view(agentLike('maple', 'seller', 'cedar', -2_000_000, 1)).site.wear, { perReading: 676, perDay: 9000 })
})

test('one end alone does not know the other contact', () => {
  const { ends } = view(agentLike('cedar', 'buyer', 'maple', 1_990_000, 1))
  assert.equal([ends[0]!.sellerContact, ends[0]!.buyerContact, ends[0]!.powerMw], ['unknown', 'closed', 1_990_000])
})

test('both ends make one line, with each contact as its own site sees it, and one deal, as told by who knows more', () => {
  const snapshot = joinViews(
    [
      view(agentLike('cedar', 'buyer', 'maple', 1_990_000, 3)),
      view(agentLike('maple', 'seller', 'cedar', -2_000_000, 5)),
    ],
    around,
    [absentSite('plug', 'charger', createCurveRing(1, 1))],
    ['maple', 'cedar'],
  )
  assert.equal(
    snapshot.sites.map(site => `${site.name} ${site.up}`),
    ['maple true', 'cedar true', 'plug false'],
  )
  assert.is(snapshot.lines.length, 1)
  const [line] = snapshot.lines
  assert.equal(
    [line!.seller, line!.buyer, line!.sellerContact, line!.buyerContact, line!.powerMw, line!.energised],
    ['maple', 'cedar', 'closed', 'closed', 2_000_000, true],
  )
  assert.is(snapshot.deals.length, 1)
  assert.is(snapshot.deals[0]!.history.length, 5)
  assert.is(snapshot.deals[0]!.deliveredWh, '640', 'the least that both line meters agree on')
  assert.not('height' in snapshot.ledger, 'nothing verified, so no height')
})

test('a deal that ended as both wanted needs no note; what a fault stopped says which', () => {
  const noteOf = (code: string) =>
    view(agentLike('maple', 'seller', 'cedar', 0, 5, { code, agoMs: 2_500, limitMs: 1_000 })).deals[0]!.note
  assert.is(noteOf('deal.stop-window'), undefined)
  assert.is(noteOf('deal.peer-stop-energy'), undefined)
  assert.is(noteOf('permit.reading'), "the line meter's reading is 2.5 s old, more than 1 s")
})

test('the grid meter is the one named so, else the first that is no line’s', () => {
  const config = configOf('maple', 'seller', 'cedar')
  assert.is(gridMeter(config), 'grid')
  const { grid, ...others } = config.meters
  assert.is(gridMeter({ ...config, meters: { ...others, main: grid! } }), 'main')
  assert.is(gridMeter({ ...config, meters: others }), undefined)
  assert.is(kindOfSite({ ...config, meters: { ...config.meters, solar: grid! } }), 'solar-home')
})

test('a log line goes where it went, and to the page what is worth a look, with its cause', () => {
  const tail = createLogTail(5)
  const printed: string[] = []
  const log = logInto(
    tail,
    'maple',
    () => instant(7),
    (level, _, text) => printed.push(`${level} ${text}`),
  )
  log('debug', 'relays', 'seen open')
  log('warn', 'relays', 'opened', { code: 'permit.reading', agoMs: 2 })
  log('error', 'relays', 'welded')
  assert.equal(printed, ['debug seen open', 'warn opened', 'error welded'])
  assert.equal(tail.lines(), [
    { at: 7, level: 'fault', site: 'maple', text: 'relays: welded' },
    { at: 7, level: 'warning', site: 'maple', text: 'relays: opened: permit.reading (agoMs=2)' },
  ])
})

test('the log on the page keeps the newest lines, newest first', () => {
  const tail = createLogTail(2)
  for (const text of ['a', 'b', 'c']) tail.add({ at: 0, level: 'info', site: 's', text })
  assert.equal(
    tail.lines().map(line => line.text),
    ['c', 'b'],
  )
})

test.run()
