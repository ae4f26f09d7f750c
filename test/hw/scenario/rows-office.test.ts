import { showRows } from './shown.ts'

showRows('rows-office').run()
