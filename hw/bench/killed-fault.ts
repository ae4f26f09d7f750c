/**
 * birch runs as a process of its own and gets SIGKILL while it sells over L3. Everything is seen from outside: the wires,
 * the ledger, and its journal as it lies on the disk. The defence is the journal; with it out, the folder is emptied before
 * birch comes back.
 */
import {
  closedDeal,
  disturbed,
  flowingDeal,
  type MakeFault,
  notFlowing,
  opensInTime,
  othersText,
  seconds,
  settledText,
} from './fault-tools.ts'
import { judgeJournal } from './judge.ts'
import type { Life } from './stage.ts'

const SITE = 'birch'
const LINE = 'L3'
/** How long birch stays away: the dead-man timers of its contacts run out several times over. */
const AWAY_MS = 10_000

export const agentKilled: MakeFault = (off, street) => {
  let child: Life | undefined
  const end = async () => {
    await child?.stop()
    child = undefined
  }
  return {
    childSite: SITE,
    end,
    async strike() {
      const bench = street()
      const { running } = bench
      const { config } = running.configs.get(SITE)!
      const started = await bench.live(SITE, config)
      if (!started.ok) return { outcome: `${SITE} did not start: ${started.fault.code}`, asExpected: false }
      child = started.value
      const target = await flowingDeal(bench, LINE)
      if (target === undefined) return notFlowing(LINE)
      const at = running.clock.mono()
      const killed = child.kill()
      const openMs = await opensInTime(bench, LINE, at)
      await killed
      await running.timers.sleep(AWAY_MS)
      const before = await judgeJournal(SITE, bench)
      if (off) bench.loseJournal(SITE)
      const again = await bench.live(SITE, config)
      if (!again.ok) return { outcome: `${SITE} did not come back: ${again.fault.code}`, asExpected: false }
      child = again.value
      const { boot } = again.value
      const deal = await closedDeal(bench, target.hash)
      await end()
      const after = await judgeJournal(SITE, bench)
      const lost = [...before.hashes].filter(hash => !after.hashes.has(hash)).length
      const trouble = disturbed({ ...target, others: target.others.filter(({ peer }) => peer !== SITE) })
      return {
        outcome: `contacts ${openMs === undefined ? 'did not open in time' : `open after ${seconds(openMs)}`}, back with boot ${boot}, ${lost} of ${before.hashes.size} readings on disk lost${before.problems.length + after.problems.length > 0 ? ` (${before.problems[0] ?? after.problems[0]})` : ''}, ${settledText(deal)}, ${othersText(trouble)}`,
        asExpected:
          openMs !== undefined &&
          boot === 2 &&
          lost === 0 &&
          before.hashes.size > 0 &&
          after.problems.length === 0 &&
          deal?.state === 'settled' &&
          trouble === undefined,
        ...(openMs === undefined ? {} : { openMs }),
      }
    },
  }
}
