/** The package for npm, installed by npm from a registry with scripts disabled, and run by npx. */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { npmTarball } from '../../../hw/image/npm.ts'
import { assert, type SkipReason, suite } from '../../harness.ts'

const folder = mkdtempSync(join(tmpdir(), 'tieline-npm-test-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const home = join(folder, 'home')
mkdirSync(home)
writeFileSync(join(home, 'package.json'), '{"private":true}\n')

const upstream = spawnSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).stdout.trim().replace(/\/$/, '')
const reached = await fetch(`${upstream}/valibot`, { signal: AbortSignal.timeout(20_000) }).then(
  ({ ok }) => ok,
  () => false,
)
const noRegistry: SkipReason | undefined = reached ? undefined : 'no-registry'

interface Ran {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

/** Not spawnSync: the registry below runs in this process. */
const run = (program: string, ...args: string[]) =>
  new Promise<Ran>(resolve => {
    const child = spawn(program, args, { cwd: home, stdio: ['ignore', 'pipe', 'pipe'] })
    const said = { out: '', err: '' }
    child.stdout.on('data', chunk => {
      said.out += chunk
    })
    child.stderr.on('data', chunk => {
      said.err += chunk
    })
    child.on('close', status => resolve({ status, ...said }))
  })

/** A registry that has this package, as `npm publish` would put it there, and sends on who asks for another. */
async function registry(tarball: Uint8Array, manifest: object) {
  const hash = (algorithm: string) => createHash(algorithm).update(tarball)
  const server = createServer((request, response) => {
    const at = `http://${request.headers.host}`
    const dist = {
      tarball: `${at}/tieline.tgz`,
      shasum: hash('sha1').digest('hex'),
      integrity: `sha512-${hash('sha512').digest('base64')}`,
    }
    if (request.url === '/tieline.tgz') response.end(tarball)
    else if (request.url === '/tieline') {
      const versions = { '1.0.0': { ...manifest, version: '1.0.0', _hasShrinkwrap: true, dist } }
      response.end(JSON.stringify({ name: 'tieline', 'dist-tags': { latest: '1.0.0' }, versions }))
    } else response.writeHead(302, { location: upstream + request.url }).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() }
}

const readJson = (file: string) => JSON.parse(readFileSync(file, 'utf8'))
const locked = readJson(new URL('../../../package-lock.json', import.meta.url).pathname).packages

let tarball = ''
const test = suite('npm tarball')

test('it holds programs, page, boards and a shrinkwrap, and neither scripts nor what only development needs', async () => {
  tarball = await npmTarball(join(folder, 'out'))
  const list = spawnSync('tar', ['tzf', tarball], { encoding: 'utf8' }).stdout.trim().split('\n')
  for (const file of ['dist/agent/main.js', 'dist/agent/web/page/page.js', 'dist/hw/boards/x86.yaml', 'LICENSE'])
    assert.ok(list.includes(`package/${file}`), file)
  assert.is(list.filter(name => !/^package\/(dist\/|[^/]+$)/.test(name)).length, 0)
  spawnSync('tar', ['xzf', tarball, '-C', folder])
  const manifest = readJson(join(folder, 'package', 'package.json'))
  assert.equal([manifest.scripts, manifest.devDependencies, manifest.private], [undefined, undefined, undefined])
  const shrinkwrap = readJson(join(folder, 'package', 'npm-shrinkwrap.json')).packages
  for (const [path, { version, integrity }] of Object.entries<Record<string, string>>(shrinkwrap))
    if (path !== '') assert.equal([version, integrity], [locked[path].version, locked[path].integrity], path)
  assert.is(shrinkwrap['node_modules/esbuild'], undefined)
}, 360_000)

test.skipIf(
  noRegistry,
  'npm installs just what the shrinkwrap pins with scripts disabled, and npx runs the bench and the agent',
  async () => {
    const source = await registry(readFileSync(tarball), readJson(join(folder, 'package', 'package.json')))
    const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--registry', source.url]
    const install = () => run('npm', 'install', ...quiet, 'tieline')
    let installed = await install()
    // A transient refusal of the registry decides nothing; what is wrong with the package is wrong each time.
    for (let tries = 1; installed.status !== 0 && tries < 3; tries++) installed = await install()
    source.close()
    assert.is(installed.status, 0, installed.err.replace(/https?:\S+/g, '...'))
    // The override of johnny-five's old serialport, which compiles at installation, holds only by the shrinkwrap.
    const found = readdirSync(join(home, 'node_modules'), { recursive: true, encoding: 'utf8' })
      .filter(path => /(^|\/)serialport\/package\.json$/.test(path) && !path.includes('@'))
      .map(path => readJson(join(home, 'node_modules', path)).version)
    assert.equal(found, [locked['node_modules/serialport'].version])
    const help = await run('npx', '--no-install', 'tieline', '--help')
    assert.match(help.out, /^Usage: tieline /)
    // In virtual time: what it settles does not hang on how busy this machine is.
    const bench = await run('npx', '--no-install', 'tieline-bench', 'scenario', 'direct-cable', '--json')
    const result = JSON.parse(bench.out)
    assert.is(bench.status, 0, bench.err)
    assert.ok(result.ok === true && result.deals.settled > 0, JSON.stringify(result.deals))
  },
  300_000,
)

test.run()
