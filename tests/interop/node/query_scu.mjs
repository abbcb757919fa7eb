// Query and retrieve SCU. Usage: node query_scu.mjs OPERATION PORT CALLED-AE-TITLE CANCEL-AFTER < TASKS
// OPERATION is find, move or get; TASKS is JSON, one `{directory, identifier, sop_class, destination}` for each request.
// What is found or got is written into the directory. The exit code is 1 unless the final status of each is a success.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import dcmjsDimse from 'dcmjs-dimse';

const { Client, Dataset, constants, requests, responses } = dcmjsDimse;
const { Status } = constants;
const PATIENCE = 10000;
const [operation, port, called, cancelAfter] = process.argv.slice(2);
const constructors = { find: requests.CFindRequest, move: requests.CMoveRequest, get: requests.CGetRequest };

function requestOf({ identifier, sop_class: sopClass, destination }) {
  const request = new constructors[operation]();
  request.setAffectedSopClassUid(sopClass);
  const elements = Dataset.fromFile(identifier).getElements();
  delete elements._vrMap;
  request.setDataset(new Dataset(elements));
  if (operation === 'move') {
    request.getCommandDataset().setElement('MoveDestination', destination);
  }
  if (operation === 'get') {
    request.setAddStorageSopClassesToAssociation(true);
  }
  return request;
}

// An association for each request.
function send(task) {
  return new Promise((resolve) => {
    const client = new Client();
    const request = requestOf(task);
    let status;
    let matches = 0;
    request.on('response', (response) => {
      status = response.getStatus();
      console.log('status', status.toString(16), response.getErrorComment() ?? '');
      if (status !== Status.Pending) {
        return;
      }
      matches += 1;
      if (response.hasDataset()) {
        response.getDataset().toFile(join(task.directory, `match${String(matches).padStart(4, '0')}.dcm`));
      }
      if (matches === Number(cancelAfter)) {
        client.cancel(request);
      }
    });
    client.on('cStoreRequest', (store, callback) => {
      const response = responses.CStoreResponse.fromRequest(store);
      store.getDataset().toFile(join(task.directory, `${store.getAffectedSopInstanceUid()}.dcm`));
      response.setStatus(Status.Success);
      callback(response);
    });
    for (const event of ['associationRejected', 'networkError']) {
      client.on(event, (...details) => {
        console.error(event, ...details);
        resolve(undefined);
      });
    }
    client.on('closed', () => resolve(status));
    client.addRequest(request);
    client.send('127.0.0.1', Number(port), 'DCMJS', called, { pduTimeout: PATIENCE });
  });
}

let failures = 0;
for (const task of JSON.parse(readFileSync(0))) {
  failures += (await send(task)) === Status.Success ? 0 : 1;
}
process.exit(failures ? 1 : 0);
