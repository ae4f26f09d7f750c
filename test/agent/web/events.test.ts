/** Many tabs on one stream of events, and what the page costs a flood of strangers. */
import { connect, type Socket } from 'node:net'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { exampleSnapshot } from '../snapshot-example.ts'
import { cookieOf, guardedWeb, PASSWORD, stillTimers } from './guarded-web.ts'

const test = suite('page events')

/** A thousand requests over real sockets, on a machine that is busy with something else. */
const DEADLINE_MS = 120_000

type Tab = Socket & { readonly heard: () => number }

/** A tab, and how many snapshots it has been sent. */
function openTab(port: number, cookie = ''): Tab {
  let text = ''
  const tab = connect(port, '127.0.0.1', () =>
    tab.write(`GET /api/events HTTP/1.1\r\nHost: localhost\r\n${cookie && `Cookie: ${cookie}\r\n`}\r\n`),
  )
  tab.on('error', () => {})
  tab.on('data', chunk => {
    text += chunk
  })
  return Object.assign(tab, { heard: () => text.split('event: snapshot\n').length - 1 })
}

type Web = Awaited<ReturnType<typeof guardedWeb>>

/** A server and tabs at it, closed however the test ends: a socket that is left open keeps the whole file from its end. */
async function serving(
  options: Parameters<typeof guardedWeb>[0],
  body: (web: Web, tabsOf: (count: number, cookie?: string) => readonly Tab[]) => Promise<void>,
): Promise<void> {
  const web = await guardedWeb(options)
  const tabs: Tab[] = []
  try {
    await body(web, (count, cookie) => {
      const added = Array.from({ length: count }, () => openTab(web.port, cookie))
      tabs.push(...added)
      return added
    })
  } finally {
    for (const tab of tabs) tab.destroy()
    await web.close()
  }
}

/** Timers whose turns come when the test says so. */
function turnedByHand() {
  const ticks = new Set<() => void>()
  const every = (_: number, run: () => void) => {
    ticks.add(run)
    return () => ticks.delete(run)
  }
  const turn = () => {
    for (const tick of ticks) tick()
  }
  return { ticks, turn, timers: { ...stillTimers, every } }
}

test(
  'ten tabs are told by one timer from one snapshot a turn; the 33rd is asked to come later',
  async () => {
    let made = 0
    const snapshot = () => {
      made++
      return exampleSnapshot
    }
    const { ticks, turn, timers } = turnedByHand()
    await serving({ auth: false, snapshot, timers }, async (web, tabsOf) => {
      const first = tabsOf(10)
      const heard = (tabs: readonly Tab[], count: number) =>
        eventually(() => assert.ok(tabs.every(tab => tab.heard() === count)))
      await heard(first, 1)
      assert.equal([ticks.size, made], [1, 1])
      for (let n = 1; n <= 5; n++) {
        turn()
        await heard(first, n + 1)
        assert.is(made, n + 1)
      }
      const others = tabsOf(22)
      await heard(others, 1)
      const late = await web.ask('GET', '/api/events')
      assert.equal([late.status, late.headers['retry-after']], [503, '10'])
      for (const tab of [...first, ...others]) tab.destroy()
      await eventually(() => assert.is(ticks.size, 0))
      await heard(tabsOf(1), 1)
    })
  },
  DEADLINE_MS,
)

test(
  'strangers take up their requests and nobody else’s: whoever has logged in is served throughout',
  () =>
    serving({}, async web => {
      const cookie = cookieOf(await web.login(PASSWORD))
      const strangers = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
      const counts: Record<number, number> = {}
      for (let round = 0; round < 30; round++) {
        const flood = Array.from({ length: 30 }, (_, n) => web.ask('GET', '/api/snapshot', {}, '', strangers[n % 3]))
        const [mine, ...theirs] = await Promise.all([web.ask('GET', '/api/snapshot', { cookie }), ...flood])
        assert.is(mine?.status, 200, `round ${round}`)
        for (const { status } of theirs) counts[status] = (counts[status] ?? 0) + 1
      }
      // Two hundred each, less what the login cost.
      assert.equal(counts, { 401: 599, 429: 301 })
    }),
  DEADLINE_MS,
)

test(
  'a tab whose session ends, by log-out in another tab or by age, is shown nothing more; others are',
  async () => {
    const { turn, timers } = turnedByHand()
    await serving({ timers }, async (web, tabsOf) => {
      const [mine, hers] = [cookieOf(await web.login(PASSWORD)), cookieOf(await web.login(PASSWORD))]
      const tabs = [...tabsOf(1, mine), ...tabsOf(1, hers)]
      await eventually(() =>
        assert.equal(
          tabs.map(tab => tab.heard()),
          [1, 1],
        ),
      )
      assert.is((await web.ask('POST', '/logout', { cookie: mine })).status, 303)
      turn()
      await eventually(() =>
        assert.equal(
          tabs.map(tab => [tab.closed, tab.heard()]),
          [
            [true, 1],
            [false, 2],
          ],
        ),
      )
      // A stream is no use of its session: after a week without one it is over.
      web.pass(8 * 86_400_000)
      turn()
      await eventually(() => assert.ok(tabs.every(tab => tab.closed)))
      assert.is(tabs[1]?.heard(), 2)
    })
  },
  DEADLINE_MS,
)

test.run()
