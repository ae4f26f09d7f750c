/**
 * `npm run bench:scale`: the simulator with 10 to 10,000 agents on 1 to 100 feeders, one slot each: messages, ledger bytes, memory
 * and processor time for each agent.
 *
 * Time is virtual; ledgers, agents' parts, deals, signatures of contracts, transactions and readings are the real ones. Each
 * agent knows its 16 nearest neighbours and its feeder's distributor. One light client of each ledger verifies for all.
 * Letters are encoded and read again, but not sealed: sealed, the same is measured at 100 agents.
 */
import { runSlot, type SlotPlan, type SlotRun } from './grid-slot.ts'
import { type BenchOptions, type Findings, type Row, runBench } from './report.ts'

const SIZES = [10, 100, 1_000, 10_000]
const SEALED = 100
const NEIGHBOURS = 16
const AGENTS_A_FEEDER = 100
const SLOT_MS = 900_000
/** As configured by default. */
const LEAD_MS = 60_000

const planOf = (agents: number, letters: SlotPlan['letters'] = 'plain'): SlotPlan => ({
  ...{ agents, feeders: Math.max(1, agents / AGENTS_A_FEEDER), neighbours: NEIGHBOURS, letters },
  ...{ slotMs: SLOT_MS, leadMs: LEAD_MS, ways: ['matching', 'bidding'] },
  tell: text => process.stderr.write(`${agents} agents: ${text}\n`),
})

const perAgent = (run: SlotRun) => ({
  cpu_ms: (1000 * run.cpuSeconds) / run.agents,
  messages: run.messages / run.agents,
  message_bytes: run.messageBytes / run.agents,
  memory_kb: run.memoryKbPerAgent,
})

function rowsOf(run: SlotRun): Row[] {
  const { agents, feeders, letters, signed, settled, problems, vain, ledgerBytes } = run
  const id = letters === 'sealed' ? `sealed.${agents}` : `${agents}`
  const at = `${agents} agents, ${feeders} feeder${feeders === 1 ? '' : 's'}${letters === 'sealed' ? ', sealed letters' : ''}`
  const each = perAgent(run)
  return [
    {
      ...{ id: `cpu.${id}`, what: `${at}: processor time of an agent and slot`, value: each.cpu_ms, unit: 'ms' },
      note: `the ledgers' included; ${run.cpuSeconds.toFixed(0)} s for ${run.virtualSeconds.toFixed(0)} s`,
      counts: { signed, settled, problems, vain },
    },
    {
      ...{ id: `messages.${id}`, what: `${at}: messages of an agent and slot`, value: each.messages, unit: '' },
      note: `${each.message_bytes.toFixed(0)} bytes`,
    },
    {
      id: `memory.${id}`,
      what: `${at}: memory of an agent, its share of the ledgers included`,
      value: each.memory_kb,
      unit: 'kB',
    },
    {
      ...{ id: `ledger.${id}`, what: `${at}: bytes of transactions on both ledgers, a deal`, unit: 'B' },
      value: ledgerBytes / Math.max(1, settled),
      note: `${settled} of ${signed} deals settled; ${vain} transactions in vain`,
    },
  ]
}

async function scale({ quick, smoke }: BenchOptions): Promise<Findings> {
  const sizes = smoke ? SIZES.slice(0, 1) : quick ? SIZES.slice(0, 3) : SIZES
  // The compiler's time is nobody's.
  if (!quick) await runSlot(planOf(SIZES[0]!))
  const runs: SlotRun[] = []
  for (const agents of sizes) {
    runs.push(await runSlot(planOf(agents)))
    process.stderr.write(`${agents} agents: ${JSON.stringify(runs.at(-1))}\n`)
  }
  const sealed = await runSlot(planOf(smoke ? SIZES[0]! : SEALED, 'sealed'))
  const largest = runs.at(-1)!
  const each = perAgent(largest)
  const facts = {
    sizes: runs.map(({ agents }) => String(agents)),
    memory_kb_per_agent: each.memory_kb,
    messages_per_agent_slot: each.messages,
    ledger_bytes_per_deal: largest.ledgerBytes / Math.max(1, largest.settled),
    cpu_ms_per_agent_slot: each.cpu_ms,
    sealed_cpu_ms_per_agent_slot: perAgent(sealed).cpu_ms,
    sealed_messages_per_agent_slot: perAgent(sealed).messages,
    /** Ten times the agents take so many times the processor time; 10 is linear. */
    growth: Object.fromEntries(
      runs.slice(1).map((run, at) => [`${runs[at]!.agents}-${run.agents}`, run.cpuSeconds / runs[at]!.cpuSeconds]),
    ),
    signed: runs.map(({ signed }) => signed),
    settled: runs.map(({ settled }) => settled),
    problems: [...runs, sealed].reduce((sum, { problems }) => sum + problems, 0),
    transactions: largest.transactions,
  }
  return { facts, rows: [...runs, sealed].flatMap(rowsOf) }
}

await runBench(
  'bench:scale',
  'Messages, ledger bytes, memory and processor time of an agent and slot, with 10 to 10,000 agents on 1 to 100 feeders.',
  scale,
)
