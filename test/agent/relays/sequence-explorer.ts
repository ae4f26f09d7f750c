/** Tries every sequence of inputs up to a depth, breadth first, each world once. */
import { blank, type Memory, remember, rememberedName, wrongs } from './sequence-judge.ts'
import { advance, type Blind, type Conditions, type Input, idleWorld, type World, well } from './sequence-model.ts'

type Side = 'seller' | 'buyer'

export interface Node {
  readonly world: World
  readonly memory: Memory
}

interface Explored {
  /** Worlds apart before the last step, and steps taken. */
  readonly worlds: number
  readonly steps: number
  /** What was wrong, each with the first (hence a shortest) way there. */
  readonly found: ReadonlyMap<string, string>
  /** Which contacts were commanded closed together. */
  readonly reached: ReadonlySet<string>
}

const set = (to: Partial<Conditions>): Input => ({ what: 'set', to })

const wish = (line: string, to: 'energise' | 'de-energise', forced = false): Input => ({
  what: 'wish',
  line,
  wish: to,
  ...(forced ? { forced: true as const } : {}),
})

const PASS: readonly Input[] = [100, 1100, 3100, 10_100].map(ms => ({ what: 'pass', ms }))

/**
 * Conditions that leave no trace, so unmet that a clock set back does not meet them: while one is unmet, another changes nothing but the reasons given. Of these at most one is
 * unmet at a time, and an input exchanges it; sequences with several are no more than these with inputs left out.
 */
export const PLAIN: readonly { readonly opens: 'all' | 'line'; readonly unmet: Partial<Conditions> }[] = [
  { opens: 'all', unmet: { manual: true } },
  { opens: 'all', unmet: { watchdogAge: 1001 } },
  { opens: 'line', unmet: { ownAge: 1001 } },
  { opens: 'line', unmet: { peerAge: 1001 } },
  { opens: 'line', unmet: { peerWelded: true } },
  { opens: 'line', unmet: { proofAge: undefined } },
  { opens: 'line', unmet: { proofAge: 70_001 } },
  { opens: 'line', unmet: { light: 'halted' } },
]

const { manual, watchdogAge, ownAge, peerAge, peerWelded, proofAge, light } = well
const MET = { manual, watchdogAge, ownAge, peerAge, peerWelded, proofAge, light }

/** Each condition true and false. */
const BOTH: readonly Input[] = [
  ...[{ unmet: {} }, ...PLAIN].map(({ unmet }) => set({ ...MET, ...unmet })),
  ...[true, false].map(recorded => set({ recorded })),
  ...[0, 1501].map(readingAge => set({ readingAge })),
  ...(['none', 'runs'] as const).map(deal => set({ deal })),
  ...[0, 10_000].map(setBack => set({ setBack })),
  ...(['dead', 'live', 'outside', 'over'] as const).map(reading => set({ reading })),
  ...(['follows', 'old', 'closed'] as const).map(line => set({ line })),
]

const OF: Readonly<Record<Side, readonly Input[]>> = {
  seller: [
    ...(['open', 'closed'] as const).map(peerLine => set({ peerLine })),
    ...(['follows', 'open'] as const).map(upstream => set({ upstream })),
    wish('L1', 'energise'),
    wish('L1', 'de-energise'),
    { what: 'clear', contact: 'L1.line' },
  ],
  buyer: [
    ...(['open', 'closed', 'unknown'] as const).map(peerLine => set({ peerLine })),
    ...(['follows', 'closed'] as const).flatMap(look => [set({ own: look }), set({ sibling: look })]),
    wish('L1', 'energise'),
    wish('L1', 'de-energise', true),
    wish('L2', 'energise'),
    { what: 'clear', contact: 'C.own' },
  ],
}

/** The inputs between true and false, and the rarer ones. */
const FINER: Readonly<Record<Side, readonly Input[]>> = {
  seller: [
    set({ peerLine: 'unknown' }),
    ...(['old', 'closed'] as const).map(upstream => set({ upstream })),
    { what: 'clear', contact: 'L1.upstream' },
  ],
  buyer: [
    ...(['old', 'open'] as const).map(own => set({ own })),
    set({ sibling: 'old' }),
    ...[true, false].map(siblingLive => set({ siblingLive })),
    wish('L1', 'de-energise'),
    wish('L2', 'de-energise'),
    { what: 'clear', contact: 'L1.line' },
    { what: 'clear', contact: 'L2.line' },
  ],
}
const FINER_BOTH: readonly Input[] = [
  set({ deal: 'early' }),
  set({ proofAge: 60_001 }),
  set({ proofAge: -10_000 }),
  set({ proofAge: -10_001 }),
  set({ light: 'no-witness' }),
  set({ light: undefined }),
  set({ ownAge: -1 }),
  set({ peerAge: -1 }),
  set({ readingAge: 1500 }),
  set({ reading: 'leak' }),
  set({ reading: 'incomplete' }),
  set({ line: 'open' }),
  { what: 'pass', ms: 250 },
  { what: 'pass', ms: 2000 },
]

/** Every condition true and false; `finer` adds what lies between and beside. */
export const inputsOf = (side: Side, finer = false): readonly Input[] => [
  ...PASS,
  ...BOTH,
  ...OF[side],
  ...(finer ? [...FINER_BOTH, ...FINER[side]] : []),
]

/** One condition of each kind: who may, who pays, the peer, the wire, the contact, the wish, and time. */
export const CORE: readonly Input[] = [
  ...PASS.slice(0, 3),
  ...[true, false].map(yes => set({ manual: yes })),
  ...[undefined, 60_000].map(age => set({ proofAge: age })),
  ...(['open', 'closed'] as const).map(peerLine => set({ peerLine })),
  ...(['dead', 'live', 'over'] as const).map(reading => set({ reading })),
  ...[0, 1501].map(readingAge => set({ readingAge })),
  ...(['follows', 'closed'] as const).map(line => set({ line })),
  wish('L1', 'energise'),
  wish('L1', 'de-energise'),
]

/** One input, with the step after it. */
export function play(side: Side, { world, memory }: Node, input: Input, blind: Blind = {}) {
  const after = advance(side, world, input, blind)
  const remembered = remember(side, memory, input, world, after)
  return { node: { world: after, memory: remembered }, wrong: wrongs(side, world, after, remembered) }
}

/** Changes nothing that is not so already. */
const isIdle = ({ now }: World, input: Input): boolean =>
  input.what === 'set' && Object.entries(input.to).every(([what, value]) => now[what as keyof Conditions] === value)

const textOf = (input: Input): string => JSON.stringify(Object.values(input).slice(1)).slice(1, -1)

export function explore(side: Side, start: Node, depth: number, inputs: readonly Input[], blind: Blind = {}): Explored {
  const seen = new Set([rememberedName(start.world, start.memory)])
  const found = new Map<string, string>()
  const reached = new Set<string>()
  let steps = 0
  let level: { node: Node; path: readonly Input[] }[] = [{ node: start, path: [] }]
  for (let n = 1; n <= depth; n++) {
    const next: typeof level = []
    for (const { node, path } of level) {
      for (const input of inputs) {
        if (isIdle(node.world, input)) continue
        steps++
        const { node: after, wrong } = play(side, node, input, blind)
        for (const what of wrong) if (!found.has(what)) found.set(what, [...path, input].map(textOf).join(' > '))
        const name = rememberedName(after.world, after.memory)
        if (seen.has(name)) continue
        reached.add([...after.world.spots].flatMap(([contact, { closed }]) => (closed ? [contact] : [])).join('+'))
        // Nothing follows the last: it need not be told apart.
        if (n === depth) continue
        seen.add(name)
        next.push({ node: after, path: [...path, input] })
      }
    }
    level = next
  }
  return { worlds: seen.size, steps, found, reached }
}

/** From everything open for a minute through these inputs. */
function after(side: Side, inputs: readonly Input[]): Node {
  let node: Node = { world: idleWorld(side), memory: blank }
  for (const input of inputs) {
    const played = play(side, node, input)
    if (played.wrong.length > 0) throw new Error(played.wrong.join())
    node = played.node
  }
  return node
}

const pass = (ms: number): Input => ({ what: 'pass', ms })
const live = set({ reading: 'live', peerLine: 'closed' })
const STARTED: Readonly<Record<Side, readonly (readonly [string, readonly Input[], closed: string])[]>> = {
  seller: [
    ['an idle line', [pass(100)], ''],
    [
      'an isolator that waits for its line contact',
      [set({ peerLine: 'closed' }), wish('L1', 'energise')],
      'L1.upstream',
    ],
    [
      'a running line',
      [set({ peerLine: 'closed' }), wish('L1', 'energise'), pass(250), live, pass(3100)],
      'L1.line+L1.upstream',
    ],
    [
      'a line that was just stopped',
      [set({ peerLine: 'closed' }), wish('L1', 'energise'), pass(250), live, pass(3100), wish('L1', 'de-energise')],
      'L1.upstream',
    ],
  ],
  buyer: [
    ['an own supply', [pass(100)], 'C.own'],
    ['a changeover', [pass(100), pass(3100), wish('L1', 'energise')], ''],
    ['a line that waits for its seller', [pass(100), pass(3100), wish('L1', 'energise'), pass(250)], 'L1.line'],
    ['a running line', [pass(100), pass(3100), wish('L1', 'energise'), pass(250), live, pass(3100)], 'L1.line'],
    [
      'a line that was just opened at once',
      [pass(100), pass(3100), wish('L1', 'energise'), pass(250), live, pass(3100), wish('L1', 'de-energise', true)],
      '',
    ],
  ],
}

/** Where the sequences begin, each with the contacts that are closed there. */
export const startsOf = (side: Side): readonly { name: string; node: Node; closed: string }[] =>
  STARTED[side].map(([name, inputs, closed]) => ({ name, node: after(side, inputs), closed }))
