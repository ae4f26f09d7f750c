/**
 * A site as physics has it, written without the guard's own words: chargers that hold themselves to what arrived, cars that
 * follow late or draw less, a meter that shows the past, frames that are lost on the way there or back. It judges what it
 * is told by its own sums of currents.
 */
import { seededRandom } from '../../../hw/sim/random.ts'

export interface ModelCharger {
  readonly name: string
  /** Index into the fuses, root first. */
  readonly fuse: number
  /** Site phase of each conductor. */
  readonly wires: readonly number[]
  readonly most: number
  readonly step: number
  readonly failsafe: number
  readonly watchdog: number
  readonly powerOn: number
  readonly measures: boolean
  /** In force. */
  held: number
  phases: 1 | 3
  /** When it last heard anything. */
  fed: number
  /** Sent, and not executed yet. */
  underWay: number[]
  lastTold: number | undefined
  plugged: boolean
  appetite: number
  /** No car starts, stops and starts again within this. */
  steadyUntil: number
  carWires: number
  draws: number[]
  /** What the car was allowed before, and until when it may go on with it. */
  slack: { ma: number; until: number }
  /** What was in force before it changed by itself, until somebody has looked; undefined where nothing did. */
  before: { held: number; phases: 1 | 3; at: number } | undefined
  flipped: boolean
  deafUntil: number
  muteUntil: number
  /** When the latest look that was answered began. */
  lookedAt: number
}

export interface ModelFuse {
  readonly rating: readonly number[]
  readonly above: number | undefined
  readonly metered: boolean
  base: number[]
}

export interface Sample {
  readonly taken: number
  readonly amps: readonly (readonly number[] | undefined)[]
  /** The truth behind it, for the judge only. */
  readonly bases: readonly (readonly number[])[]
}

export interface Status {
  readonly state: 'A' | 'B' | 'C'
  readonly held: number
  readonly phases: 1 | 3
  readonly draws: readonly number[] | undefined
  readonly at: number
}

export type Verdict = 'excess' | 'between' | 'blind' | 'switched-live' | 'lasting'

export function createModel(seed: number) {
  const random = seededRandom(seed)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const between = (low: number, high: number) => Math.floor(low + random() * (high - low))
  const fuses: ModelFuse[] = [
    { rating: [25_000, 25_000, 25_000], above: undefined, metered: true, base: [0, 0, 0] },
    { rating: [20_000, 20_000, 16_000], above: 0, metered: random() < 0.5, base: [0, 0, 0] },
  ]
  const wirings = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0], [1], [2], [2, 1, 0]]
  const chargers = ['north', 'east', 'south'].map((name, n): ModelCharger => {
    const wires = n === 0 ? pick(wirings.filter(({ length }) => length === 3).slice(1)) : pick(wirings)
    const powerOn = pick([0, 6000, 16_000])
    return {
      ...{ name, fuse: n === 0 ? 0 : 1, wires, most: n === 0 ? 32_000 : 16_000, step: pick([100, 1000]) },
      ...{ failsafe: pick([0, 6000]), watchdog: pick([6000, 10_000]), powerOn, measures: n < 2 },
      ...{ held: powerOn, phases: wires.length === 3 ? 3 : 1, fed: 0, underWay: [], lastTold: undefined },
      ...{ plugged: true, appetite: 32_000, steadyUntil: 0, carWires: 3, draws: [0, 0, 0], slack: { ma: 0, until: 0 } },
      ...{ before: { held: powerOn, phases: 3, at: 0 }, flipped: false, deafUntil: 0, muteUntil: 0, lookedAt: -1e9 },
    }
  })
  let now = 0
  let calmSince = 0
  let meterDeadUntil = 0
  let nextSample = 0
  let newest: Sample | undefined
  let samples: Sample[] = []
  let overSince: number | undefined
  const queue: { readonly due: number; readonly run: () => void }[] = []
  const verdicts = new Map<Verdict, number>()
  const met = new Map<string, number>()
  const blame = (verdict: Verdict) => verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
  const meet = (what: string) => met.set(what, (met.get(what) ?? 0) + 1)
  const later = (ms: number, run: () => void) => void queue.push({ due: now + ms, run })

  const ancestors = (fuse: number): number[] => {
    const { above } = fuses[fuse]!
    return above === undefined ? [fuse] : [fuse, ...ancestors(above)]
  }
  /** Amperes through each phase of each fuse, as the sum of everything behind it. */
  function flows(ofCharger: (charger: ModelCharger) => readonly number[], bases: readonly (readonly number[])[]) {
    const sum = fuses.map(() => [0, 0, 0])
    const add = (fuse: number, phase: number, ma: number) => {
      for (const up of ancestors(fuse)) sum[up]![phase]! += ma
    }
    for (const [fuse, base] of bases.entries()) for (const phase of [0, 1, 2]) add(fuse, phase, base[phase]!)
    for (const charger of chargers) {
      ofCharger(charger).forEach((ma, wire) => {
        if (wire < charger.wires.length) add(charger.fuse, charger.wires[wire]!, ma)
      })
    }
    return sum
  }
  /** Samples that may be gone by: from the newest since which every charger in reach that measures was looked at. */
  function knownSamples(): readonly Sample[] {
    const silent = (charger: ModelCharger) => !charger.measures || now - charger.lookedAt > 3000
    const told = (sample: Sample) => chargers.every(charger => silent(charger) || charger.lookedAt >= sample.taken)
    const first = samples.findLastIndex(sample => now - sample.taken <= 3000 && told(sample))
    return samples.slice(first < 0 ? -1 : first)
  }

  /** Over on a phase that this charger loads. */
  const overloads = (charger: ModelCharger, load: readonly number[], sum: readonly (readonly number[])[]) =>
    load.some(
      (ma, wire) =>
        ma > 0 &&
        ancestors(charger.fuse).some(
          fuse => sum[fuse]![charger.wires[wire]!]! > fuses[fuse]!.rating[charger.wires[wire]!]!,
        ),
    )

  function hold(charger: ModelCharger, ma: number): void {
    if (charger.held > ma) charger.slack = { ma: Math.max(charger.held, ...charger.draws), until: now + 4000 }
    charger.held = ma
  }

  function surprise(charger: ModelCharger): void {
    charger.before ??= { held: charger.held, phases: charger.phases, at: now }
    calmSince = now
  }

  function happen(): void {
    // Storms of half a minute, and as much calm, in which the site has to come to order.
    if (Math.floor(now / 30_000) % 2 === 1) return
    const chance = random()
    const charger = pick(chargers)
    if (chance < 0.02) {
      const fuse = pick(fuses)
      const most = pick([2000, 8000, 14_000, 24_000])
      fuse.base = fuse.base.map(ma => (random() < 0.6 ? between(0, most) : Math.min(ma, most)))
      if (fuse === fuses[1]) fuse.base = fuse.base.map(ma => Math.min(ma, 12_000))
      calmSince = now
      meet('base')
    } else if (chance < 0.035 && now >= charger.steadyUntil) {
      charger.steadyUntil = now + 5000
      charger.appetite = pick([0, 3000, 7000, 12_000, 32_000])
      charger.carWires = pick([1, 3, 3])
      meet('appetite')
    } else if (chance < 0.037 && now >= charger.steadyUntil) {
      charger.steadyUntil = now + 5000
      charger.plugged = !charger.plugged
    } else if (chance < 0.04) {
      charger.deafUntil = now + between(500, 9000)
      meet('deaf')
    } else if (chance < 0.044) {
      charger.muteUntil = now + between(500, 9000)
      meet('mute')
    } else if (chance < 0.046) {
      surprise(charger)
      hold(charger, charger.powerOn)
      charger.phases = charger.wires.length === 3 ? 3 : 1
      charger.fed = now
      charger.deafUntil = now + between(0, 2000)
      meet('restart')
    } else if (chance < 0.047) {
      surprise(charger)
      charger.flipped = true
      hold(charger, Math.min(charger.most, charger.held * 100))
      later(5000, () => {
        charger.flipped = false
      })
      meet('flip')
    } else if (chance < 0.05) {
      meterDeadUntil = now + between(1500, 9000)
      calmSince = now
      meet('meter')
    }
  }

  function move(charger: ModelCharger): void {
    if (now - charger.fed > charger.watchdog && charger.held !== charger.failsafe) {
      hold(charger, charger.failsafe)
      charger.before = undefined
      meet('struck')
    }
    const permitted = charger.slack.until > now ? Math.max(charger.slack.ma, charger.held) : charger.held
    const running = charger.plugged && charger.held >= 6000 && charger.appetite >= 6000
    const still = charger.slack.until > now && Math.max(...charger.draws) > 0 && charger.plugged
    charger.draws = [0, 1, 2].map(wire => {
      if (wire >= charger.phases || wire >= charger.carWires || wire >= charger.wires.length) return 0
      // A car that goes down goes straight down; one that has room takes it at once.
      const wanted = Math.min(charger.appetite, permitted)
      if (running && charger.slack.until <= now) return wanted
      return running || still ? Math.min(charger.draws[wire]!, wanted) : 0
    })
    if (!running && !still) charger.slack = { ma: 0, until: 0 }
  }

  /** The most that a charger may let through, by what its owner can know of it: the truth, but for what it just did by itself. */
  function worst(charger: ModelCharger): number[] {
    const known = charger.before?.held ?? charger.held
    const ma = Math.max(known, ...charger.underWay)
    const wires = (charger.before?.phases ?? charger.phases) === 3 ? charger.wires.length : 1
    const drawn = charger.before === undefined ? charger.draws : [0, 0, 0]
    return charger.wires.map((_, wire) => Math.max(wire < wires ? ma : 0, drawn[wire]!))
  }

  /** A frame to a charger: what it does there, and what comes back. */
  function exchange<T>(charger: ModelCharger, run: () => T, answer: (value: T | undefined) => void): void {
    const [there, back] = [between(20, 150), between(20, 150)]
    later(there, () => {
      if (now < charger.deafUntil) return later(1000, () => answer(undefined))
      charger.fed = now
      const value = run()
      later(back, () => answer(now < charger.muteUntil ? undefined : value))
    })
  }

  return {
    fuses,
    chargers,
    verdicts,
    met,
    between,
    pick,
    random,
    now: () => now,
    advance(ms: number): void {
      now += ms
      queue.sort((a, b) => a.due - b.due)
      while (queue[0] !== undefined && queue[0].due <= now) queue.shift()!.run()
      happen()
      for (const charger of chargers) move(charger)
      const sum = flows(
        ({ draws }) => draws,
        fuses.map(({ base }) => base),
      )
      overSince = chargers.some(charger => overloads(charger, charger.draws, sum)) ? (overSince ?? now) : undefined
      if (overSince !== undefined) meet('over')
      // Half a minute covers a storm's last lost frames, and a watchdog; what lasts longer, nobody saw to.
      if (overSince !== undefined && now - Math.max(overSince, calmSince) > 20_000) blame('lasting')
    },
    /** The meters' next sample, once a second; it arrives late, and shows what flowed up to a second before. */
    sample(deliver: (sample: Sample) => void): void {
      if (now < nextSample) return
      nextSample = now + 1000
      const shown = flows(
        ({ draws }) => draws,
        fuses.map(({ base }) => base),
      )
      const bases = fuses.map(({ base }) => [...base])
      const age = between(0, 800)
      later(age + between(50, 300), () => {
        if (now < meterDeadUntil) return
        newest = {
          taken: now - between(0, 50),
          amps: shown.map((amps, n) => (fuses[n]!.metered ? amps : undefined)),
          bases,
        }
        samples = [...samples.slice(-4), newest]
        deliver(newest)
      })
    },
    tell(charger: ModelCharger, ma: number, answer: (ma: number | undefined) => void): void {
      if (ma !== 0 && (ma < 6000 || ma > charger.most)) blame('between')
      const raised = ma > (charger.lastTold ?? 0)
      if (raised) meet('raised')
      charger.lastTold = ma
      charger.underWay.push(ma)
      if (raised) {
        if (newest === undefined || now - newest.taken > 3000) blame('blind')
        else if (knownSamples().every(({ bases }) => overloads(charger, worst(charger), flows(worst, bases))))
          blame('excess')
      }
      let executedAt = now
      exchange(
        charger,
        () => {
          executedAt = now
          const held = charger.flipped ? Math.min(charger.most, ma * 100) : ma
          if (held !== ma) surprise(charger)
          else if (charger.before !== undefined && charger.before.at < now) charger.before.held = ma
          hold(charger, held)
          charger.underWay = charger.underWay.filter((one, n) => one !== ma || n !== charger.underWay.indexOf(ma))
          return held
        },
        held => {
          if (held === undefined) charger.underWay = charger.underWay.filter(one => one !== ma)
          // It answers: whoever goes on without a look at it now can know better.
          else if (charger.before !== undefined && charger.before.at < executedAt) charger.before = undefined
          answer(held)
        },
      )
    },
    /** Whoever calls what this returns hears no answer: a limit goes first. */
    look(charger: ModelCharger, answer: (status: Status | undefined) => void): () => void {
      const begun = now
      let gaveWay = false
      exchange(
        charger,
        (): Status => ({
          state: !charger.plugged ? 'A' : Math.max(...charger.draws) > 0 ? 'C' : 'B',
          held: charger.held,
          phases: charger.phases,
          draws: charger.measures ? charger.draws.slice(0, charger.wires.length) : undefined,
          at: now,
        }),
        status => {
          if (gaveWay) return
          if (status !== undefined) charger.lookedAt = begun
          if (status !== undefined && charger.before !== undefined && status.at > charger.before.at)
            charger.before = undefined
          answer(status)
        },
      )
      return () => {
        meet('overtaken')
        gaveWay = true
      }
    },
    switchPhases(charger: ModelCharger, phases: 1 | 3, answer: (done: boolean) => void): void {
      // What it does by itself after a look, its driver sees, which looks before it switches.
      if (Math.max(...charger.draws) > 0 && charger.before === undefined) blame('switched-live')
      meet('switch')
      exchange(
        charger,
        () => {
          charger.phases = phases
          return true
        },
        done => answer(done === true),
      )
    },
    /** Called once a step with what was told last: with its meter long silent, nobody may stand above the failsafe current. */
    checkBlind(): void {
      if (newest === undefined || now - newest.taken < 5000) return
      for (const { lastTold = 0, failsafe } of chargers) if (lastTold > failsafe) blame('blind')
    },
  }
}
