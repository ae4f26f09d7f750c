import { existsSync } from 'node:fs'
import { assert, suite } from '../../harness.ts'
import { answer, atDesk, DEADLINE_MS, foundBy, keptIn, killedAt, STEPS } from './init-desk.ts'
import { CTRL_C, DOWN, ENTER, ESC } from './typist.ts'

const test = suite('init, typed')

test(
  'killed after the first, in the midst and after the last question it goes on where it stopped',
  () => killedAt([0, 5, STEPS.length - 1]),
  DEADLINE_MS,
)

test(
  'Ctrl-C and a closed terminal keep what was answered; from the start asks everything again',
  () =>
    atDesk(async ({ file, state, sit }) => {
      const first = await sit()
      await answer(first, 0)
      await answer(first, 1)
      first.types(CTRL_C)
      assert.is((await first.ended).code, 1)
      assert.match(first.screen(), 'broken off; the answers so far are kept in')
      const second = await sit()
      await second.sees('You have answered some of this before.')
      second.types(ENTER)
      await answer(second, 2)
      await second.hangUp()
      assert.equal(Object.keys(keptIn(state).answers), ['role', 'site', 'board'])
      const third = await sit()
      await third.sees('You have answered some of this before.')
      third.types(DOWN + ENTER)
      await third.sees('What is this site?')
      third.types(ENTER)
      // What was said before stands ready.
      await third.sees('What is it called, among its neighbours?')
      third.types(ENTER)
      await third.sees('Which board does the agent run on?')
      assert.equal(keptIn(state).answers, { role: 'household', site: 'elm' })
      await third.kill()
      assert.not.ok(existsSync(file))
    }),
  DEADLINE_MS,
)

test(
  'a wrong answer is told at once and asked again',
  () =>
    atDesk(async ({ sit }) => {
      const typist = await sit()
      await answer(typist, 0)
      typist.types(`4 elms${ENTER}`)
      await typist.sees('must be a name: a letter')
      typist.types(`\u0015elm${ENTER}`)
      await typist.sees('Which board does the agent run on?')
      await typist.kill()
    }),
  DEADLINE_MS,
)

test(
  'Esc goes back a question, where the old answer stands ready; letters that no product has are told',
  () =>
    atDesk(async ({ state, sit }) => {
      const typist = await sit()
      for (let n = 0; n < 4; n++) await answer(typist, n)
      typist.types(`zzzz${ENTER}`)
      await typist.sees('nothing in the list has these letters')
      typist.types(ESC)
      await typist.sees('Which meter is it?')
      typist.types(ESC)
      await typist.sees('Which board does the agent run on?')
      typist.types(ESC)
      await typist.sees('What is it called, among its neighbours?')
      typist.types(ENTER)
      await typist.sees('Which board does the agent run on?')
      assert.equal(keptIn(state).answers, { role: 'household', site: 'elm' })
      await typist.kill()
    }),
  DEADLINE_MS,
)

test('a meter is found on the network', () => foundBy('--tcp', '0'), DEADLINE_MS)

test.run()
