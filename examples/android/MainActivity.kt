package org.example.impasto

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import android.graphics.Color
import android.media.ThumbnailUtils
import android.os.Bundle
import android.widget.ImageView
import androidx.activity.result.contract.ActivityResultContracts.GetContent
import androidx.appcompat.app.AppCompatActivity
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.concurrent.thread
import org.tensorflow.lite.Interpreter

private const val SIZE = 512

class MainActivity : AppCompatActivity() {
    private val filter by lazy {
        val bytes = assets.open("filter.tflite").readBytes()
        val model = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
        Interpreter(model, Interpreter.Options().setNumThreads(4))
    }

    private val pick = registerForActivityResult(GetContent()) { uri ->
        uri ?: return@registerForActivityResult
        val photo = contentResolver.openInputStream(uri).use(BitmapFactory::decodeStream)
        thread {
            val painted = paint(ThumbnailUtils.extractThumbnail(photo, SIZE, SIZE), strength = 1f)
            runOnUiThread { view.setImageBitmap(painted) }
        }
    }

    private lateinit var view: ImageView

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        view = ImageView(this).apply { setOnClickListener { pick.launch("image/*") } }
        setContentView(view)
        pick.launch("image/*")
    }

    @Synchronized
    private fun paint(photo: Bitmap, strength: Float): Bitmap {
        val pixels = IntArray(SIZE * SIZE)
        photo.getPixels(pixels, 0, SIZE, 0, 0, SIZE, SIZE)
        val content = floats(SIZE * SIZE * 3)
        for (pixel in pixels) {
            content.putFloat(Color.red(pixel) / 255f).putFloat(Color.green(pixel) / 255f).putFloat(Color.blue(pixel) / 255f)
        }
        val painted = floats(SIZE * SIZE * 3)
        content.rewind()
        val inputs = arrayOf<Any>(content, floats(1).apply { putFloat(strength).rewind() })
        filter.runForMultipleInputsOutputs(inputs, mapOf(0 to painted))
        painted.rewind()
        for (k in pixels.indices) pixels[k] = Color.rgb(painted.float, painted.float, painted.float)
        return Bitmap.createBitmap(pixels, SIZE, SIZE, Bitmap.Config.ARGB_8888)
    }

    private fun floats(count: Int) = ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder())
}
