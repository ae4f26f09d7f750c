/** What every Relay must do, whatever drives it. */
import type { Clock, Position, Relay } from '../../drivers/ports.ts'
import { assert, type Suite } from '../harness.ts'

export interface RelayUnderTest {
  readonly relay: Relay
  readonly clock: Clock
  /** Where the contact really is. */
  contact(): Position
  /** How often the contact really moved. */
  moves(): number
  /** Cuts the relay's hardware off from the agent, or brings it back. */
  cut(off: boolean): void
  /** Lets this many milliseconds of the relay's clock pass. */
  pass(ms: number): Promise<void>
}

/** Of real time, on a busy machine. */
const DEADLINE_MS = 120_000
/** So often in a row it is not the machine that is late. */
const TRIES = 20

/** `answerMs`: how long a command may take on a sound wire. */
export function relayCases(suite: Suite, name: string, make: () => Promise<RelayUnderTest>, answerMs: number): void {
  const t = (title: string, body: () => Promise<void>) => suite(title, body, DEADLINE_MS)
  const cutMs = Math.max(5_000, answerMs)

  /** Waits for an answer while the clock under test passes; a relay that does not answer within its time is no relay. */
  async function settled<T>(under: RelayUnderTest, work: Promise<T>, withinMs = answerMs): Promise<T> {
    let answer: { readonly value: T } | undefined
    void work.then(value => {
      answer = { value }
    })
    const until = under.clock.mono() + withinMs
    await under.pass(0)
    while (answer === undefined && under.clock.mono() < until) await under.pass(5)
    if (answer === undefined) throw new Error(`no answer within ${withinMs} ms`)
    return answer.value
  }

  async function command(under: RelayUnderTest, position: Position): Promise<void> {
    const result = await settled(under, under.relay.command(position))
    assert.ok(result.ok, result.ok ? '' : result.fault.code)
  }

  t(`${name}: making a relay moves no contact`, async () => {
    const under = await make()
    await under.pass(100)
    assert.equal([under.contact(), under.moves()], ['open', 0])
    assert.equal(await settled(under, under.relay.observe()), { seen: 'open' })
  })

  t(`${name}: a command moves the contact, and a look sees it there`, async () => {
    const under = await make()
    for (const position of ['closed', 'open', 'closed'] as const) {
      await command(under, position)
      assert.is(under.contact(), position)
      assert.equal(await settled(under, under.relay.observe()), { seen: position })
    }
    assert.is(under.moves(), 3)
  })

  t(`${name}: a command to where the contact is already moves nothing`, async () => {
    const under = await make()
    for (const position of ['open', 'closed', 'closed', 'open', 'open'] as const) await command(under, position)
    assert.is(under.moves(), 2)
  })

  t(`${name}: a closed contact that is renewed within half of its time stays closed`, async () => {
    for (let left = TRIES; !(await isKept(await make())); left--) assert.ok(left > 1, 'never renewed in time')
  })

  /** False where the relay's time ran out by right, because this machine stood still. */
  async function isKept(under: RelayUnderTest): Promise<boolean> {
    const death = under.relay.onAgentDeath
    const withinMs = death.kind === 'opens' ? death.withinMs : Number.POSITIVE_INFINITY
    const half = death.kind === 'opens' ? Math.floor(death.withinMs / 2) : 1000
    for (let n = 0, before = under.clock.mono(); n < 8; n++) {
      const began = under.clock.mono()
      await command(under, 'closed')
      if (n > 0 && under.clock.mono() - before >= withinMs) return false
      await under.pass(Math.max(0, half - (under.clock.mono() - began)))
      if (under.clock.mono() - began >= withinMs) return false
      assert.is(under.contact(), 'closed')
      before = began
    }
    assert.is(under.moves(), 1)
    return true
  }

  t(`${name}: a closed contact whose agent is silent does what the relay declares`, async () => {
    const under = await make()
    const death = under.relay.onAgentDeath
    await command(under, 'closed')
    await under.pass(death.kind === 'opens' ? death.withinMs : 60_000)
    assert.is(under.contact(), death.kind === 'opens' ? 'open' : 'closed')
  })

  t(`${name}: an opening commanded while a closing is under way has the last word`, async () => {
    const under = await make()
    const both = Promise.all([under.relay.command('closed'), under.relay.command('open')])
    const results = await settled(under, both, 2 * answerMs)
    assert.ok(results.every(result => result.ok))
    assert.is(under.contact(), 'open')
    await under.pass(2000)
    assert.is(under.contact(), 'open')
  })

  t(
    `${name}: hardware that is cut off answers with a fault, is seen as unknown, and works when it is back`,
    async () => {
      const under = await make()
      under.cut(true)
      assert.not.ok((await settled(under, under.relay.command('closed'), cutMs)).ok)
      assert.is((await settled(under, under.relay.observe(), cutMs)).seen, 'unknown')
      assert.is(under.contact(), 'open')
      under.cut(false)
      // Long enough for a bus master to be sure that no old answer is still on its way.
      await under.pass(20_000)
      await command(under, 'closed')
      assert.is(under.contact(), 'closed')
    },
  )

  t(`${name}: closing the port opens the contact, and twice is harmless`, async () => {
    const under = await make()
    await command(under, 'closed')
    await settled(under, under.relay.close())
    assert.is(under.contact(), 'open')
    await settled(under, under.relay.close())
    assert.is(under.contact(), 'open')
  })
}
