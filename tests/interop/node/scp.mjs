// Verification, Storage, Query and Retrieve SCP. Usage: node scp.mjs PORT DIRECTORY [AE-TITLE=PORT ...]
// The AE titles are destinations of C-MOVE on this host. Queries are answered about the files in the directory.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import dcmjsDimse from 'dcmjs-dimse';

const { Client, Dataset, Scp, Server, constants, requests, responses } = dcmjsDimse;
const { PresentationContextResult, Status, TransferSyntax } = constants;
const [port, directory, ...titles] = process.argv.slice(2);
const destinations = new Map(titles.map((title) => title.split('=')));
const supported = new Set(Object.values(TransferSyntax));
const uniqueKeys = {
  PATIENT: 'PatientID',
  STUDY: 'StudyInstanceUID',
  SERIES: 'SeriesInstanceUID',
  IMAGE: 'SOPInstanceUID',
};
const notMatched = new Set(['QueryRetrieveLevel', 'SpecificCharacterSet', '_vrMap']);

function held() {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.dcm'))
    .map((name) => Dataset.fromFile(join(directory, name)).getElements());
}

// Values as texts, of names all component groups.
function textsOf(value) {
  if (Array.isArray(value)) {
    return value.flatMap(textsOf);
  }
  if (value === undefined || value === null || value === '') {
    return [];
  }
  return [typeof value === 'object' ? Object.values(value).join('=') : String(value).trim()];
}

function matchesText(pattern, text) {
  const range = /^(\d*)-(\d*)$/.exec(pattern);
  if (range) {
    return (range[1] === '' || range[1] <= text) && (range[2] === '' || text <= range[2]);
  }
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`).test(text);
}

function matches(keys, elements) {
  return Object.entries(keys).every(([keyword, value]) => {
    const patterns = notMatched.has(keyword) ? [] : textsOf(value);
    const texts = textsOf(elements[keyword]);
    return patterns.length === 0 || patterns.some((pattern) => texts.some((text) => matchesText(pattern, text)));
  });
}

function found(keys) {
  return held().filter((elements) => matches(keys, elements));
}

function storeRequests(keys) {
  return found(keys).map((elements) => new requests.CStoreRequest(join(directory, `${elements.SOPInstanceUID}.dcm`)));
}

class ArchiveScp extends Scp {
  associationRequested(association) {
    for (const { id } of association.getPresentationContexts()) {
      const context = association.getPresentationContext(id);
      const chosen = context.getTransferSyntaxUids().find((uid) => supported.has(uid));
      if (chosen) {
        context.setResult(PresentationContextResult.Accept, chosen);
      } else {
        context.setResult(PresentationContextResult.RejectTransferSyntaxesNotSupported);
      }
    }
    this.sendAssociationAccept();
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    const response = responses.CStoreResponse.fromRequest(request);
    try {
      request.getDataset().toFile(join(directory, `${request.getAffectedSopInstanceUid()}.dcm`));
      response.setStatus(Status.Success);
    } catch (error) {
      console.error(error);
      response.setStatus(Status.ProcessingFailure);
    }
    callback(response);
  }

  cFindRequest(request, callback) {
    const keys = request.getDataset().getElements();
    const unique = uniqueKeys[keys.QueryRetrieveLevel];
    const entities = new Map(found(keys).map((elements) => [elements[unique] ?? elements.SOPInstanceUID, elements]));
    const answers = [...entities.values()].map((elements) => {
      const wanted = Object.keys(keys).filter((keyword) => keyword !== '_vrMap');
      const answer = Object.fromEntries(wanted.map((keyword) => [keyword, elements[keyword] ?? '']));
      // It encodes texts in UTF-8, whatever they were in.
      Object.assign(answer, { QueryRetrieveLevel: keys.QueryRetrieveLevel, SpecificCharacterSet: 'ISO_IR 192' });
      const response = responses.CFindResponse.fromRequest(request);
      response.setDataset(new Dataset(answer));
      response.setStatus(Status.Pending);
      return response;
    });
    const last = responses.CFindResponse.fromRequest(request);
    last.setStatus(Status.Success);
    callback([...answers, last]);
  }

  cGetRequest(request, callback) {
    const stores = storeRequests(request.getDataset().getElements());
    this.subOperations(stores, responses.CGetResponse.fromRequest(request), callback);
    this.sendRequests(stores);
  }

  cMoveRequest(request, callback) {
    const destination = request.getCommandDataset().getElement('MoveDestination');
    const response = responses.CMoveResponse.fromRequest(request);
    if (!destinations.has(destination)) {
      response.setStatus(Status.MoveDestinationUnknown);
      callback([response]);
      return;
    }
    const stores = storeRequests(request.getDataset().getElements());
    this.subOperations(stores, response, callback);
    const client = new Client();
    client.on('networkError', (error) => console.error('network error:', error));
    stores.forEach((store) => client.addRequest(store));
    client.send('127.0.0.1', Number(destinations.get(destination)), 'DCMJS', destination);
  }

  // Answers when every object has been stored.
  subOperations(stores, response, callback) {
    let completed = 0;
    const finish = () => {
      response.setStatus(Status.Success);
      response.setCompleted(completed);
      response.setFailures(stores.length - completed);
      callback([response]);
    };
    for (const [index, store] of stores.entries()) {
      store.on('response', (stored) => {
        completed += stored.getStatus() === Status.Success ? 1 : 0;
        if (index === stores.length - 1) {
          finish();
        }
      });
    }
    if (stores.length === 0) {
      finish();
    }
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
  }
}

const server = new Server(ArchiveScp);
server.on('networkError', (error) => console.error('network error:', error));
server.listen(Number(port));
