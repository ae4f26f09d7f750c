/** Readings of an outage: the broker and the agent are killed in turn, and a subscriber of its own counts what arrived. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqtt from 'mqtt'
import { createChain, type SignedReading } from '../../../agent/metering/chain.ts'
import { acceptPosition, startReplay } from '../../../agent/publish/replay.ts'
import { startBroker } from '../../../drivers/bus/broker.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createCache } from '../../../drivers/store/cache.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import type { Retention } from '../../../drivers/store/journal-retention.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { must } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import type { Instant } from '../../../protocol/time.ts'
import { closing, type Later } from '../../closing.ts'
import { eventually } from '../../eventually.ts'
import { freePort } from '../../free-port.ts'
import { assert, suite } from '../../harness.ts'
import { unhurried } from '../../unhurried.ts'
import { noMosquitto, startMosquitto } from '../real-mosquitto.ts'

const test = suite('readings of an outage')

const { clock, timers } = createSystemTime()
/** Of brokers that come and go on a machine that is busy with something else. */
const DEADLINE_MS = 120_000
const TOPIC = 'tieline/x/history'
const MINUTE = 60_000

/** A broker that dies and comes back at the same address: Mosquitto where it is installed. */
async function mortalBroker(later: Later) {
  if (noMosquitto === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'tieline-replay-'))
    later(() => rmSync(folder, { recursive: true, force: true }))
    const conf = ['allow_anonymous true']
    let mosquitto = await startMosquitto({ conf, folder })
    later(() => mosquitto.close())
    const { port } = mosquitto
    return {
      url: `mqtt://127.0.0.1:${port}`,
      kill: () => mosquitto.kill(),
      back: async () => {
        mosquitto = await startMosquitto({ conf, folder, port })
      },
    }
  }
  const broker = must(await startBroker(await freePort()))
  later(broker.close)
  return { url: broker.url, kill: broker.stop, back: async () => void must(await broker.restart()) }
}

async function site(later: Later, retention?: Retention) {
  const disk = createSimDisk({ random: () => 0.5 })
  const own = disk.mount()
  const journal = must(
    await openJournal({
      disk: own,
      clock,
      timers,
      entropy: systemEntropy,
      owner: new Uint8Array(17),
      groupMs: 1,
      segmentBytes: 65_536,
      ...(retention === undefined ? {} : { retention }),
    }),
  )
  later(() => journal.close())
  const chain = createChain({
    ...{
      name: 'grid',
      meterId: 'serial-1',
      page: 'x',
      signer: createSigner(new Uint8Array(32).fill(7)),
      journal,
      clock,
    },
    identity: { device: new Uint8Array(17), software: new Uint8Array(32), trust: 'software', timeSource: () => 'x' },
    ...{ boot: 1, clockSets: () => 0, restored: undefined },
  })
  const files = createSimDisk({ random: () => 0.5 }).mount()
  let hear: ((name: string, signed: SignedReading) => void) | undefined
  let count = 0
  let gate: Promise<void> = Promise.resolve()
  return {
    journal,
    /** What is told waits until then: a subscriber that comes back is not to miss the first rows. */
    wait: (until: Promise<void>) => {
      gate = until
    },
    /** Reads and signs; the time is so many minutes ago. */
    async read(minutesAgo = 0) {
      count++
      const registers = [{ obis: OBIS.energyImport, value: BigInt(count), scaler: 0, unit: 'Wh' } as const]
      const taken = (clock.now() - minutesAgo * MINUTE) as Instant
      const worth = { taken, takenMono: clock.mono(), quality: 'synchronised', beforeSync: false, errors: [] } as const
      const signed = must(await chain.sign({ registers, reason: 'periodic', ...worth, urgent: true }))
      hear?.('grid', signed)
    },
    /** An agent that tells; killed, it saves nothing. */
    async agent(url: string) {
      let resume = () => {}
      const bus = must(
        await connectBus({
          urls: [url],
          timers: unhurried(timers),
          log: () => {},
          patient: true,
          onUp: () => resume(),
        }),
      )
      const metering = {
        onSigned: (listener: NonNullable<typeof hear>) => {
          hear = listener
        },
      }
      let dead = false
      const cache = createCache(files, 'position.cbor', acceptPosition)
      const position = {
        load: cache.load,
        save: async (it: Parameters<typeof cache.save>[0]) =>
          dead ? ({ ok: true, value: undefined } as const) : cache.save(it),
      }
      const replay = await startReplay({
        ...{
          topic: TOPIC,
          bus: { publish: async (...it: Parameters<typeof bus.publish>) => gate.then(() => bus.publish(...it)) },
          journal,
          metering,
          clock,
          timers,
          log: () => {},
          position,
          keepMs: 60 * MINUTE,
        },
      })
      resume = replay.resume
      const stop = async () => {
        hear = undefined
        await replay.stop()
        await bus.close()
      }
      later(stop)
      return {
        stop,
        kill: () => {
          dead = true
          return stop()
        },
      }
    },
  }
}

async function ear(later: Later, url: string, sequences: number[], rows: { time: string; sequence: number }[]) {
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0 })
  later(() => client.end(true))
  client.on('message', (_topic, payload) => {
    const row = JSON.parse(payload.toString())
    sequences.push(row.sequence)
    rows.push(row)
  })
  client.on('error', () => {})
  await client.subscribeAsync(TOPIC, { qos: 1 })
  return client
}

/** The last that was heard is this one. */
const upTo = (heard: readonly number[], sequence: number) =>
  eventually(() => assert.is(heard.at(-1), sequence, JSON.stringify(heard)))

test(
  'reach the broker afterwards, in order, each once, with their own time, through deaths of both',
  closing(async later => {
    const broker = await mortalBroker(later)
    const house = await site(later)
    const [heard, rows]: [number[], { time: string; sequence: number }[]] = [[], []]
    let client = await ear(later, broker.url, heard, rows)
    let agent = await house.agent(broker.url)
    await house.read()
    await upTo(heard, 1)
    await broker.kill()
    client.end(true)
    for (let n = 0; n < 30; n++) await house.read(30 - n)
    // The agent ends in order and starts again while no broker is there.
    await agent.stop()
    for (let n = 0; n < 5; n++) await house.read()
    agent = await house.agent(broker.url)
    await house.read()
    let open = () => {}
    house.wait(new Promise(resolve => (open = resolve)))
    await broker.back()
    client = await ear(later, broker.url, heard, rows)
    open()
    await upTo(heard, 37)
    assert.equal(
      heard,
      Array.from({ length: 37 }, (_, n) => n + 1),
      'nothing lost, nothing twice',
    )
    const late = rows.find(({ sequence }) => sequence === 2)!
    assert.ok(Math.abs(Date.parse(late.time) - (Date.now() - 30 * MINUTE)) < MINUTE, late.time)
    // Killed, it has not kept the end: rows come again, none is missed, and each says by its sequence which it is.
    await house.read()
    await upTo(heard, 38)
    await agent.kill()
    await house.read()
    agent = await house.agent(broker.url)
    await upTo(heard, 39)
    assert.equal(
      [...new Set(heard)].sort((a, b) => a - b),
      Array.from({ length: 39 }, (_, n) => n + 1),
    )
  }),
  DEADLINE_MS,
)

test(
  'older than their age are not told, and without its file it begins with the present',
  closing(async later => {
    const broker = must(await startBroker())
    later(broker.close)
    const house = await site(later)
    const heard: number[] = []
    await house.read()
    await ear(later, broker.url, heard, [])
    let agent = await house.agent(broker.url)
    await agent.stop()
    await house.read(120)
    await house.read(1)
    agent = await house.agent(broker.url)
    // They are told in order.
    await upTo(heard, 3)
    assert.not.ok(heard.includes(2))
  }),
  DEADLINE_MS,
)

/** 1050 readings of an outage: the sequences that are told afterwards, and how many were handed over by each look at the journal. */
async function toldAfterwards(later: Later, retention?: Retention) {
  const house = await site(later, retention)
  const files = createSimDisk({ random: () => 0.5 }).mount()
  const position = createCache(files, 'position.cbor', acceptPosition)
  const id = Buffer.from(house.journal.id).toString('hex')
  must(await position.save({ journal: id, frame: 0, told: {} }))
  for (let n = 0; n < 1050; n++) await house.read()
  const handed: number[] = []
  const journal = {
    ...house.journal,
    /** How many readings are handed over before it has had enough. */
    visit: (visitor: Parameters<typeof house.journal.visit>[0], from?: bigint) => {
      handed.push(0)
      return house.journal.visit((record, at) => {
        if (record.kind === 'reading') handed[handed.length - 1]!++
        return visitor(record, at)
      }, from)
    },
  }
  const heard: number[] = []
  const publish = async (_topic: string, payload: Uint8Array) => {
    heard.push(JSON.parse(Buffer.from(payload).toString()).sequence)
    return { ok: true, value: undefined } as const
  }
  const replay = await startReplay({
    ...{ topic: TOPIC, bus: { publish }, journal, metering: { onSigned: () => {} }, clock, log: () => {}, position },
    // Its rests are left out.
    timers: { ...timers, after: (_ms, act) => timers.after(0, act) },
    keepMs: 60 * MINUTE,
  })
  later(replay.stop)
  await eventually(() => assert.is(heard.at(-1), 1050))
  return { heard, handed }
}

test(
  'of a long outage no more than a thousand rows are held at once, and all arrive in order',
  closing(async later => {
    const { heard, handed } = await toldAfterwards(later)
    assert.equal(
      heard,
      Array.from({ length: 1050 }, (_, n) => n + 1),
    )
    assert.is(handed[0], 1000)
  }),
  DEADLINE_MS,
)

test(
  'what the journal has dropped is not told, and the rest is, without a gap',
  closing(async later => {
    const { heard } = await toldAfterwards(later, { ms: 3_600_000_000, bytes: 3 * 65_536 })
    assert.ok(heard[0]! > 1 && heard.length > 10, String(heard[0]))
    assert.equal(
      heard,
      heard.map((_, n) => heard[0]! + n),
    )
  }),
  DEADLINE_MS,
)

test('what is no position is none', () => {
  const kept = { journal: 'ab', frame: 3, told: { a: 1 } }
  assert.equal(acceptPosition(kept), kept)
  for (const wrong of [null, 7, {}, { ...kept, frame: -1 }, { ...kept, told: { a: 'x' } }, { ...kept, told: null }]) {
    assert.is(acceptPosition(wrong), undefined)
  }
})

test.run()
