import CoreImage
import CoreML
import PhotosUI
import SwiftUI

struct ContentView: View {
    @State private var picked: PhotosPickerItem?
    @State private var painted: CGImage?
    @State private var strength = 1.0
    @State private var failure = ""

    var body: some View {
        VStack {
            if let painted { Image(decorative: painted, scale: 1).resizable().scaledToFit() }
            Text(failure)
            Slider(value: $strength, in: 0...1)
            PhotosPicker("Photograph", selection: $picked, matching: .images)
        }
        .padding()
        .task(id: picked) { await show() }
        .task(id: strength) { await show() }
    }

    private func show() async {
        do {
            guard let data = try await picked?.loadTransferable(type: Data.self) else { return }
            painted = try await paint(data, strength: strength)
            failure = ""
        } catch {
            failure = error.localizedDescription
        }
    }
}

private let loaded = Task { try Filter(configuration: MLModelConfiguration()) }

private func paint(_ data: Data, strength: Double) async throws -> CGImage? {
    guard let photo = CIImage(data: data, options: [.applyOrientationProperty: true]),
          let image = CIContext().createCGImage(photo, from: photo.extent) else { return nil }
    let number = try MLMultiArray([NSNumber(value: strength)])
    let input = try FilterInput(contentWith: image, strength: number)  // scaled to the network's size
    let output = try await loaded.value.prediction(input: input)
    let result = CIImage(cvPixelBuffer: output.painted)
    return CIContext().createCGImage(result, from: result.extent)
}
